"""What is benchmarked: networks by name, phrases, camera images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import torch

from samlite_ros.bench.options import BenchOptions
from samlite_ros.errors import SamliteError
from samlite_ros.scenes.render import render_scene
from samlite_ros.segmenter import SegmenterOptions
from samlite_ros.types import Frame, Prompt

MODELS: dict[str, SegmenterOptions] = {
    "demo": SegmenterOptions("demo"),
    "s0-504": SegmenterOptions("random:s0", image_size=504),
    "s0-1008": SegmenterOptions("random:s0", image_size=1008),
}
"""Those of `options.MODEL_NAMES`."""

PHRASES = (
    "red ball",
    "blue box",
    "green cone",
    "yellow cylinder",
    "orange ball",
    "pink box",
    "cyan cone",
    "purple cylinder",
    "green ball",
    "red box",
    "orange cone",
    "blue cylinder",
    "pink ball",
    "cyan box",
    "yellow cone",
    "red cylinder",
)


def segmenter_options(model: str, options: BenchOptions) -> SegmenterOptions:
    """Options of a network by its benchmark name.

    Raises:
        SamliteError: There is no such network.
    """
    if model not in MODELS:
        raise SamliteError(f"model {model!r} is none of {', '.join(MODELS)}")
    return replace(MODELS[model], device=options.device, dtype=options.dtype, threads=options.threads)


def phrases(count: int) -> tuple[str, ...]:
    """Distinct phrases.

    Raises:
        SamliteError: More than there are.
    """
    if not 1 <= count <= len(PHRASES):
        raise SamliteError(f"{count} phrases were asked for, there are 1 to {len(PHRASES)}")
    return PHRASES[:count]


def prompts(count: int) -> tuple[Prompt, ...]:
    """`phrases` as prompts."""
    return tuple(map(Prompt, phrases(count)))


def camera_frame(width: int = 1280, height: int = 720, seed: int = 1) -> Frame:
    """A rendered scene as a camera would see it."""
    scene = render_scene(seed, (480, 640))
    image = cv2.resize(scene.image, (width, height), interpolation=cv2.INTER_CUBIC)
    return Frame(np.ascontiguousarray(image), stamp_ns=1_000_000_000, frame_id="camera")


def waiting_for(device: torch.device) -> Callable[[], object] | None:
    """What waits until the device is idle, to time what it does; None = a CPU, which does not run ahead."""
    return torch.cuda.synchronize if device.type == "cuda" else None
