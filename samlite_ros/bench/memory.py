"""Memory of the network's parts, and of a process that answers frames, with and without the text encoder."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from samlite_ros.bench.figures import Figure, derived
from samlite_ros.bench.new_process import in_new_process
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.workload import camera_frame, prompts, segmenter_options
from samlite_ros.live.memory import peak_mib, resident_mib
from samlite_ros.segmenter import SegmenterOptions
from samlite_ros.segmenter.pytorch import load_backend
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.types import DecodeOptions

_MIB = 2**20
_PHRASES = 8


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every network of the options, each case in a process of its own.

    'text encoder freed' is a process that answers the same phrases from a bank on disk.
    """
    figures: list[Figure] = []
    for model in options.models:
        with tempfile.TemporaryDirectory() as bank:
            settings = replace(segmenter_options(model, options), text_bank_folder=Path(bank))
            for case, keep in (("text encoder kept", True), ("text encoder freed", False)):
                on_step(f"{model}: memory, {case}")
                found = in_new_process(answer_one_frame, replace(settings, keep_text_encoder=keep))
                figures += [derived(f"memory/{model}, {case}/{name}", "MiB", value) for name, value in found.items()]
    return figures


def answer_one_frame(options: SegmenterOptions) -> dict[str, float]:
    """Load, answer a frame for 8 phrases, and say what that took [MiB].

    Returns:
        Resident memory with the libraries alone, after loading, after the frame, and its peak; the network's weights;
        on CUDA the device's memory after the frame and its peak.
    """
    import torch
    import transformers  # noqa: F401 - its memory is not the network's

    sizes = {"libraries": resident_mib()}
    segmenter = Sam3LiteTextSegmenter(backend := load_backend(options), options)
    sizes["loaded"] = resident_mib()
    embedded = segmenter.embed_prompts(prompts(_PHRASES))
    model = backend.checkpoint.model
    if not options.keep_text_encoder:
        model.text_encoder = None  # the segmenter did it, but for random weights, which have no file to come back from
        gc.collect()
    segmenter.segment(segmenter.embed_image(camera_frame()), embedded, [DecodeOptions()] * _PHRASES)
    sizes["after a frame"] = resident_mib()
    sizes["peak"] = peak_mib()
    sizes["weights"] = sum(p.numel() * p.element_size() for p in model.parameters()) / _MIB
    if backend.checkpoint.device.type == "cuda":
        sizes["GPU after a frame"] = torch.cuda.memory_allocated() / _MIB
        sizes["GPU peak"] = torch.cuda.max_memory_allocated() / _MIB
    return sizes
