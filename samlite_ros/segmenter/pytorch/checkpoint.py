"""Load a SAM3-LiteText checkpoint, or say precisely why not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer, Sam3LiteTextConfig, Sam3LiteTextModel

from samlite_ros.errors import ModelLoadError, SamliteError
from samlite_ros.foreign.words import one_line
from samlite_ros.segmenter.files import check_folder
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.pytorch.precision import (
    Precision,
    choose_device,
    choose_precision,
    in_words,
    is_large,
)
from samlite_ros.segmenter.pytorch.random_weights import RANDOM_MODELS, random_model
from samlite_ros.segmenter.sources import DEMO_FOLDER, find_checkpoint

PLAIN_ATTENTION_TOKENS = 1024
"""Up to so many image tokens plain attention is fastest on a CPU; above, its memory grows with their square."""

_MOST_GROWTH, _TABLES_BYTES = 5, 1 << 30
"""Weights of half precision grow twofold in memory; tables of positions come on top, more of them for larger images."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded network.

    Args:
        model: Sam3LiteTextModel in evaluation mode, on `device` in the precision's dtype.
        tokenizer: Its tokenizer.
        model_id: Names the weights, as the user named them.
        image_size: Side of the square input [px].
        folder: Where its files are; None = random weights.
    """

    model: Any
    tokenizer: Any
    model_id: str
    device: torch.device
    precision: Precision
    image_size: int
    folder: Path | None

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and activations."""
        return self.precision.dtype

    @property
    def computes(self) -> str:
        """Where and in what precision, in words."""
        return in_words(self.device, self.precision)


def load_checkpoint(options: SegmenterOptions) -> Checkpoint:
    """Load weights and tokenizer.

    Raises:
        ModelLoadError: Wrong name, missing or corrupt files, another architecture, no such device or dtype.
    """
    device = choose_device(options.device)
    is_random = options.model in RANDOM_MODELS
    folder = None if is_random else find_checkpoint(options.model)
    if folder is not None:
        weights_bytes = sum(path.stat().st_size for path in check_folder(folder))
    with as_load_errors(f"model {options.model!r} cannot be loaded"), _quiet():
        with as_load_errors(no_network(options.model)):
            config = _config(options, folder, device)
            precision = choose_precision(options.dtype, device, config)
            if folder is not None:
                _check_need(folder, config, weights_bytes)
        dtype = precision.dtype
        model = random_model(config, dtype) if folder is None else _pretrained(folder, config, dtype)
        _place_exactly(model)
        if options.attention == "auto":
            _fuse_decoding(model)
        # The vocabulary of the published checkpoints is not at hand where only random weights are asked for.
        tokenizer = _tokenizer(folder or DEMO_FOLDER)
        model = model.to(device).eval().requires_grad_(False)
    return Checkpoint(model, tokenizer, options.model, device, precision, int(config.image_size), folder)


def choose_attention(name: str, device: torch.device, image_tokens: int) -> str:
    """'auto' is torch's fused attention, but for small images on a CPU."""
    if name not in ("auto", "eager", "sdpa"):
        raise ModelLoadError(f"attention {name!r} is unknown: 'auto', 'eager', 'sdpa'")
    if name != "auto":
        return name
    return "eager" if device.type == "cpu" and image_tokens <= PLAIN_ATTENTION_TOKENS else "sdpa"


def set_threads(count: int, checkpoint: Checkpoint) -> None:
    """Set how many threads torch uses on the CPU.

    Args:
        count: 0 = one for a small network, whose operations are shorter than waking a thread, else torch's default.
        checkpoint: The network.
    """
    if count == 0 and checkpoint.device.type == "cpu" and not is_large(checkpoint.model.config):
        count = 1
    if count:
        torch.set_num_threads(count)


def _config(options: SegmenterOptions, folder: Path | None, device: torch.device) -> Any:
    """The configuration, with the input size and the attention that were asked for."""
    config: Any
    if folder is None:
        config = Sam3LiteTextConfig(**RANDOM_MODELS[options.model])
    else:
        config = Sam3LiteTextConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    patch = _patch_size(config)
    if options.image_size is not None:
        if options.image_size % patch or options.image_size < 2 * patch:
            raise ModelLoadError(
                f"image_size {options.image_size} does not fit: {options.model!r} takes multiples of {patch} px,"
                f" at least {2 * patch}, for example {max(options.image_size // patch, 2) * patch}"
            )
        config.image_size = options.image_size  # tables of positions are built to it
    config._attn_implementation = choose_attention(options.attention, device, _image_tokens(config))
    return config


def _tokenizer(folder: Path) -> Any:
    with as_load_errors(f"{folder}: tokenizer.json, or vocab.json and merges.txt, are no tokenizer that can be read"):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _patch_size(config: Any) -> int:
    return int(config.vision_config.backbone_config.patch_size)


def _image_tokens(config: Any) -> int:
    return (int(config.image_size) // _patch_size(config)) ** 2


def _place_exactly(model: Any) -> None:
    """Positions of patches in float32: transformers rounds them to the weights' dtype, by up to a fifth of a patch."""
    backbone = model.vision_encoder.backbone
    for layer in backbone.layers:
        if hasattr(layer, "position_ids"):  # since transformers 5.20
            layer.position_ids = layer.precompute_positions(backbone.config, layer.window_size)


def _fuse_decoding(model: Any) -> None:
    """Prompts attend by torch's fused attention, where it does not pay for the image too: they come several at once."""
    for part in (model.detr_encoder, model.detr_decoder, model.mask_decoder):
        part.config._attn_implementation = "sdpa"


def _check_need(folder: Path, config: Any, weights_bytes: int) -> None:
    """Refuse a configuration of a far larger network than its weights are of, before memory is taken for it."""
    with torch.device("meta"):
        network = Sam3LiteTextModel(config)
    tensors = itertools.chain(network.parameters(), network.buffers())
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if needed > _MOST_GROWTH * weights_bytes + _TABLES_BYTES:
        raise ModelLoadError(
            f"{folder}: config.json describes a network of {needed / 1e6:.0f} MB, the weights are "
            f"{weights_bytes / 1e6:.0f} MB: they do not belong together"
        )


def _pretrained(folder: Path, config: Any, dtype: torch.dtype) -> Any:
    """Weights from safetensors; never code, never the network."""
    loaded: Any = Sam3LiteTextModel.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        attn_implementation=config._attn_implementation,
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # they are reported, and refused below with their names
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    model, loading = loaded
    missing = sorted(loading["missing_keys"])
    if missing:  # transformers fills them with random numbers and goes on
        raise ModelLoadError(f"{folder} lacks {len(missing)} of the network's weights, the first is {missing[0]}")
    if mismatched := sorted(loading["mismatched_keys"]):
        name, found, wanted = mismatched[0]
        raise ModelLoadError(
            f"{folder} does not fit its config.json: {name} is {tuple(found)}, expected {tuple(wanted)}"
            f" ({len(mismatched)} such weights)"
        )
    return model


@contextmanager
def as_load_errors(what: str) -> Iterator[None]:
    """Whatever the libraries raise while loading becomes one line that says what is the matter."""
    try:
        yield
    except (SamliteError, ImportError):
        raise
    except Exception as error:  # of a strange configuration they raise what they happen to meet
        words = "it is nested too deeply" if isinstance(error, RecursionError) else one_line(error, 400)
        raise ModelLoadError(f"{what}: {type(error).__name__}: {words}") from error


def no_network(model: str) -> str:
    """For `as_load_errors`, around what is made of a configuration alone."""
    return f"no network can be made of the configuration of {model!r}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and load report: what matters of them is raised."""
    log = transformers.utils.logging
    verbosity, had_bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if had_bar:
            log.enable_progress_bar()
