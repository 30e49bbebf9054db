"""One pass of the image encoder, in turns: the reference's and ours, by dtype, and with tokens of the image before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from samlite_ros.bench.figures import Figure, derived, figure
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.timing import Sample, interleave
from samlite_ros.bench.workload import camera_frame, segmenter_options, waiting_for
from samlite_ros.segmenter.pytorch import load_backend
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.decoder import ImageFeatures, image_features
from samlite_ros.segmenter.pytorch.kept_tokens import KeptTokens
from samlite_ros.segmenter.pytorch.precision import Precision, in_words
from samlite_ros.segmenter.pytorch.preprocess import to_pixel_values

REFERENCE, OURS = "reference", "ours"
_SHARES = (0.05, 0.2, 0.5)


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every network of the options."""
    figures: list[Figure] = []
    for model in options.models:
        on_step(f"{model}: the image encoder")
        backend = load_backend(segmenter_options(model, options))
        rounds = options.rounds_of(model)
        figures += [*against_reference(model, backend, rounds), *with_kept_tokens(model, backend, rounds)]
        if backend.checkpoint.device.type == "cpu" and options.dtype == "auto":
            on_step(f"{model}: the image encoder by dtype")
            plain = load_backend(replace(segmenter_options(model, options), dtype="float32"))
            figures += by_dtype(model, plain, backend, rounds)
    return figures


@torch.inference_mode()
def against_reference(name: str, backend: TorchBackend, rounds: int) -> list[Figure]:
    """Our image encoder beside the reference's, after one pass of each that is compared and not timed."""
    network = backend.checkpoint
    pixels = to_pixel_values(camera_frame().image, network.image_size, network.device, network.dtype)
    reference = network.model.vision_encoder
    differs = _difference(backend.image_encoder(pixels), image_features(reference(pixels)))
    sides: Mapping[str, Callable[[], object]] = {
        REFERENCE: lambda: reference(pixels),
        OURS: lambda: backend.image_encoder(pixels),
    }
    samples = interleave(sides, rounds, finish=waiting_for(network.device))
    row = f"passes/{name}, {network.precision.name}"
    return [*compared(row, samples, REFERENCE), derived(f"{row}/differ by", "", differs)]


@torch.inference_mode()
def with_kept_tokens(name: str, backend: TorchBackend, rounds: int) -> list[Figure]:
    """Passes that compute some of the tokens, a square in the middle of the image, beside a whole one."""
    network, encoder, kept = backend.checkpoint, backend.image_encoder, KeptTokens()
    pixels = to_pixel_values(camera_frame().image, network.image_size, network.device, network.dtype)
    encoder(pixels, keep=kept)
    sides: dict[str, Callable[[], object]] = {"whole": lambda: encoder(pixels)}
    for share in _SHARES:
        changed = square(encoder.side, share)
        sides[f"{share:.0%} of tokens"] = partial(encoder.update, pixels, kept, changed)
    samples = interleave(sides, rounds, finish=waiting_for(network.device))
    row = f"tokens/{name}, {network.precision.name}"
    return [*compared(row, samples, "whole"), derived(f"{row}/kept", "MB", kept.size_bytes / 1e6)]


@torch.inference_mode()
def by_dtype(name: str, plain: TorchBackend, chosen: TorchBackend, rounds: int) -> list[Figure]:
    """Plain float32, float32 by oneDNN, and what `dtype: auto` chose on this CPU.

    Args:
        name: Of the network.
        plain, chosen: It in float32, and as `auto` has it.
        rounds: Samples of each.
    """
    in_float32 = Precision(torch.float32)
    by_one_dnn, auto = replace(in_float32, matmul="medium"), chosen.checkpoint.precision
    sides = {
        "float32": _embedding(plain, in_float32),
        "float32 by oneDNN": _embedding(plain, by_one_dnn),
        f"auto, {in_words(chosen.checkpoint.device, replace(auto, reason=''))}": _embedding(chosen, auto),
    }
    before = torch.get_float32_matmul_precision()
    try:
        samples = interleave(sides, rounds + 1)
    finally:
        torch.set_float32_matmul_precision(before)
    warm = {side: found[1:] for side, found in samples.items()}
    return compared(f"dtypes/{name}", warm, "float32")


def _embedding(backend: TorchBackend, precision: Precision) -> Callable[[], object]:
    """What embeds the same image, with products as a precision has them; its dtype is the backend's."""
    network = backend.checkpoint
    pixels = to_pixel_values(camera_frame().image, network.image_size, network.device, network.dtype)

    def embed() -> ImageFeatures:
        torch.set_float32_matmul_precision(precision.matmul)
        features: ImageFeatures = backend.image_encoder(pixels)
        return features

    return embed


def square(side: int, share: float) -> torch.Tensor:
    """bool (side * side,): a square in the middle that holds about this share."""
    length = max(round(side * share**0.5), 1)
    changed, first = torch.zeros(side, side, dtype=torch.bool), (side - length) // 2
    changed[first : first + length, first : first + length] = True
    return changed.flatten()


def compared(row: str, samples: Mapping[str, Sequence[Sample]], base: str) -> list[Figure]:
    """CPU time of each side, and how many times less it is than that of one of them, round by round.

    Args:
        row: 'part/row'.
        samples: By side; neighbours in time.
        base: The side that the others are compared with.
    """
    figures = [figure(f"{row}/{side}", "s", [s.cpu_s for s in found]) for side, found in samples.items()]
    for side, found in samples.items():
        if side != base:
            pairs = list(zip(samples[base], found, strict=True))
            figures.append(figure(f"{row}/{side}, CPU time", "times less", [b.cpu_s / s.cpu_s for b, s in pairs]))
            figures.append(figure(f"{row}/{side}, elapsed", "times less", [b.wall_s / s.wall_s for b, s in pairs]))
    return figures


def _difference(found: ImageFeatures, wanted: ImageFeatures) -> float:
    """Largest difference of the maps, by parts of the largest number."""
    pairs = zip(found.maps, wanted.maps, strict=True)
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)
