"""The network on a GPU: image, text and decode in half precision, eager and compiled.

Runs on a CPU too where the device is named, for tests; the rows name the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from samlite_ros.bench.figures import Figure, derived, figure
from samlite_ros.bench.options import BenchOptions, SkippedPart
from samlite_ros.bench.timing import measure
from samlite_ros.bench.workload import camera_frame, phrases, prompts, segmenter_options, waiting_for
from samlite_ros.segmenter.pytorch import load_backend
from samlite_ros.segmenter.pytorch.backend import TorchBackend
from samlite_ros.segmenter.pytorch.decoder import join
from samlite_ros.segmenter.pytorch.mask_bits import cut_masks
from samlite_ros.segmenter.pytorch.preprocess import normalise, to_pixel_values, to_square
from samlite_ros.segmenter.pytorch.resample import resample
from samlite_ros.segmenter.pytorch.shared_decode import SharedDecoder
from samlite_ros.segmenter.upsample import upsample_mask

_WARM_UP = 3
_ROUNDS = 15

Call = Callable[[], object]
Compile = Callable[[Any], Any]


class NetworkParts:
    """The network's parts, each as a call on fixed inputs.

    Args:
        backend: The network.
        kept: Masks kept per phrase.
    """

    def __init__(self, backend: TorchBackend, kept: int) -> None:
        network = backend.checkpoint
        self.device = network.device
        self._model, self._kept = network.model, torch.arange(kept, device=network.device)
        self._frame, self._size = camera_frame().image, network.image_size
        self._pixels = to_pixel_values(self._frame, self._size, network.device, network.dtype)
        tokens = [network.tokenizer(p, padding="max_length", max_length=32).input_ids for p in phrases(16)]
        self._ids = torch.tensor(tokens, device=network.device)
        self._texts = backend.encode_prompts(prompts(16))
        self._decoder = SharedDecoder(network.model)
        self._encoder = backend.image_encoder

    def calls(self, counts: Sequence[int], compile_it: Compile) -> dict[str, Call]:
        """Name to call: the image, and text and decode for each number of phrases at once.

        Args:
            counts: Numbers of phrases.
            compile_it: Applied to what is computed.
        """
        with torch.inference_mode():
            self._image = self._embed_image()
        propose, masks = compile_it(self._decoder.propose), compile_it(self._decoder.masks)
        calls: dict[str, Call] = {
            "input": self._resize_there,
            "input, resized on the CPU": self._resize_here,
            "image": compile_it(self._embed_image),
        }
        for count in counts:
            calls[f"text, {count}"] = partial(self._embed_text, count)
            calls[f"decode, {count}"] = partial(self._decode, propose, masks, count)
        return calls | self._ways_to_the_host(counts)

    def _ways_to_the_host(self, counts: Sequence[int]) -> dict[str, Call]:
        """Drawn masks to masks at the camera's size: as logits that are cut on the host, and as bits."""
        calls: dict[str, Call] = {}
        for count in counts:
            with torch.inference_mode():
                logits = torch.cat(self._decode(self._decoder.propose, self._decoder.masks, count))
            calls[f"masks to the host, {count}"] = partial(self._cut_here, logits)
            calls[f"masks to the host as bits, {count}"] = partial(self._cut_there, logits)
        return calls

    def _cut_here(self, logits: torch.Tensor) -> object:
        size = self._frame.shape[0], self._frame.shape[1]
        return [upsample_mask(mask, size, resample) for mask in logits.cpu().float().numpy()]

    def _cut_there(self, logits: torch.Tensor) -> object:
        return cut_masks(logits, [128] * len(logits), (self._frame.shape[0], self._frame.shape[1]))

    def _embed_text(self, count: int) -> object:
        return self._model.get_text_features(input_ids=self._ids[:count])

    def _decode(self, propose: Callable[..., Any], masks: Callable[..., Any], count: int) -> Any:
        shared = self._decoder.prepare(self._image)
        return masks(shared, propose(shared, join(self._texts[:count])), [self._kept] * count)

    def _resize_there(self) -> object:
        return to_pixel_values(self._frame, self._size, self.device, self._pixels.dtype)

    def _resize_here(self) -> object:
        square = to_square(self._frame, self._size, torch.device("cpu"))
        return normalise(square.to(self.device), self._pixels.dtype)

    def _embed_image(self) -> Any:
        return self._encoder(self._pixels)


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure the full-size networks of the options on CUDA, eager and compiled.

    Raises:
        SkippedPart: There is no CUDA device, and no other was asked for.
    """
    if options.device == "auto" and not torch.cuda.is_available():
        raise SkippedPart(f"torch {torch.__version__} sees no CUDA device")
    figures: list[Figure] = []
    for model in options.models:
        on_step(f"{model}: parts on the device")
        figures += measure_parts(model, options)
    return figures


def measure_parts(model: str, options: BenchOptions) -> list[Figure]:
    """Time, work and share of the peak for each part."""
    parts = NetworkParts(load_backend(segmenter_options(model, options)), options.kept)
    ways: dict[str, Compile] = {"eager": lambda call: call}
    if parts.device.type == "cuda":
        ways["compiled"] = torch.compile
        ways["CUDA graphs"] = partial(torch.compile, mode="reduce-overhead")
    peak = peak_flop_s(parts.device)
    rounds = options.rounds or _ROUNDS
    figures: list[Figure] = []
    for way, compile_it in ways.items():
        for part, call in parts.calls(options.phrase_counts, compile_it).items():
            name = f"gpu/{model}, {parts.device.type}, {part}"
            times = _times_s(call, rounds, parts.device)
            figures.append(figure(f"{name}/{way}", "ms", [1e3 * t for t in times]))
            if way == "eager":
                work = count_flop(call)
                figures.append(derived(f"{name}/work", "GFLOP", work / 1e9))
                figures.append(figure(f"{name}/of peak", "%", [100 * work / t / peak for t in times]))
    return figures


@torch.no_grad()
def count_flop(call: Call) -> int:
    """Floating-point operations of a call: matrix products, convolutions and attention.

    Not in inference mode, where older releases of torch hand the counter layers, which it does not know.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def peak_flop_s(device: torch.device, side: int = 0) -> float:
    """Operations per second of a large matrix product in bfloat16: the peak that the device shows.

    Args:
        device: Where.
        side: Of the matrices; 0 = 8192 on CUDA, 512 elsewhere.
    """
    side = side or (8192 if device.type == "cuda" else 512)
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / min(_times_s(lambda: a @ a, 10, device))


@torch.inference_mode()
def _times_s(call: Call, rounds: int, device: torch.device) -> list[float]:
    finish = waiting_for(device)
    for _ in range(_WARM_UP):
        measure(call, finish)
    return [measure(call, finish).wall_s for _ in range(rounds)]
