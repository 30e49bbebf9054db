"""What computes an export's graphs: the contract of a runtime, and the options that fit no other network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.manifest import Manifest
from samlite_ros.segmenter.options import SegmenterOptions

Value = Any
"""An array, in the host's memory or on the device."""

SMALL_NETWORK_TOKENS = 1024
"""Up to so many image tokens more threads than one cost more than they compute."""

_DTYPES = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
"""What `dtype` may name beside auto, by the export's precision."""


class DeviceMemoryError(Exception):
    """The device's memory is used up."""


class Runtime(Protocol):
    """Runs graphs by name. Used from one thread."""

    @property
    def device(self) -> str:
        """Where it computes: 'cpu', 'cuda:0'."""
        ...

    @property
    def name(self) -> str:
        """Of the runtime, and of what it computes with."""
        ...

    def run(self, graph: str, inputs: Mapping[str, Value], to_host: Collection[str]) -> dict[str, Value]:
        """Compute a graph.

        Args:
            graph: Name of the graph.
            inputs: By name: numpy arrays, or what an earlier run left on the device.
            to_host: Outputs that come as numpy arrays; the others stay on the device.

        Raises:
            DeviceMemoryError: The device's memory is used up.
        """
        ...

    def unload(self, graph: str) -> None:
        """Give a graph's memory back; it is loaded again when it is run."""
        ...

    def free_memory(self) -> None:
        """Give back what is cached on the device."""
        ...


def check_options(folder: Path, manifest: Manifest, options: SegmenterOptions) -> None:
    """Check that an export can do what is asked: its size, type, tokens and number of phrases are fixed.

    Raises:
        ModelLoadError: It cannot; says what it is and how to export another.
    """
    again = f"`samlite export {manifest.source}`"
    if options.image_size not in (None, manifest.image_size):
        raise ModelLoadError(
            f"{folder} was exported for image_size {manifest.image_size}, not {options.image_size}: {again} with"
            f" --image-size {options.image_size}, or leave image_size out"
        )
    if options.dtype not in ("auto", _DTYPES[manifest.precision]):
        raise ModelLoadError(
            f"{folder} was exported as {manifest.precision}, which dtype {options.dtype!r} does not fit: {again} with"
            " another --precision, or leave dtype at 'auto'"
        )
    if options.decode_batch > manifest.max_prompts:
        raise ModelLoadError(
            f"{folder} decodes at most {manifest.max_prompts} phrases at once, decode_batch is {options.decode_batch}:"
            f" lower it, or {again} with --max-phrases {options.decode_batch}"
        )
    if options.reuse_tokens:
        raise ModelLoadError(
            f"{folder} computes every token of an image: reuse_tokens needs backend 'torch', or set it to false"
        )
