"""Writes the refiner as ONNX, and checks that OpenCV gives what torch gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx  # noqa: F401  # torch needs it to write; missed here, and not when the training has ended
import torch

from samlite_ros.streaming.carry.planes import PLANES
from samlite_ros.training.refiner.crops import SHAPES
from samlite_ros.training.refiner.network import RefinerNet

OPSET = 13
MOST_DIFFERENCE = 1e-3


def export(net: RefinerNet, path: Path, cells: int = SHAPES.cells) -> float:
    """Write the network for windows of so many cells; returns the largest difference to OpenCV's result.

    Raises:
        ValueError: OpenCV gives something else.
    """
    planes = torch.randn(1, PLANES, cells, cells)
    options: dict[str, Any] = {"opset_version": OPSET, "input_names": ["planes"], "output_names": ["delta"]}
    torch.onnx.export(net.eval(), (planes,), str(path), dynamo=False, **options)
    run = cv2.dnn.readNetFromONNX(str(path))
    run.setInput(planes.numpy())
    with torch.no_grad():
        difference = float(np.abs(run.forward() - net(planes).numpy()).max())
    if difference > MOST_DIFFERENCE:
        raise ValueError(f"OpenCV's result differs by {difference:g} (at most {MOST_DIFFERENCE:g} expected): {path}")
    return difference
