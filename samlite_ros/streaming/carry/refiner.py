"""The learned judge of pixels: a small network that OpenCV runs, without the interpreter's lock and without torch."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.planes import PLANES

WEIGHTS = Path(__file__).parents[2] / "models" / "refiner" / "refiner.onnx"
"""What the package ships."""


class Refiner(Protocol):
    """Corrects a carried shape by what the frame shows."""

    def __call__(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds (n, n) to add to those of the carried shape; `planes` as in `planes.NAMES`."""
        ...


class OnnxRefiner:
    """A network from a file, for windows of the size that it was exported for.

    Args:
        path: ONNX: "planes" (1, PLANES, n, n) to "delta" (1, 1, n, n).

    Raises:
        FileNotFoundError: There is no such file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"no weights of the refiner at {path}")
        self._net = cv2.dnn.readNetFromONNX(str(path))

    def __call__(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds (n, n) to add."""
        self._net.setInput(planes[None])
        return np.asarray(self._net.forward()[0, 0], np.float32)


def shipped_refiner(cells: int, weights: Path = WEIGHTS) -> Refiner | None:
    """The package's own refiner, for windows of `cells` a side; None where its weights are missing, damaged or for
    others, which is said once."""
    if not weights.is_file():
        _warn(f"no weights of the refiner at {weights}")
        return None
    try:
        refiner = OnnxRefiner(weights)
    except cv2.error:
        _warn(f"damaged weights of the refiner at {weights}")
        return None
    try:
        refiner(np.zeros((PLANES, cells, cells), np.float32))  # the first time takes longer, and is to be no frame's
    except cv2.error:
        _warn(f"the weights of the refiner at {weights} are for other planes than {PLANES} of {cells} cells a side")
        return None
    return refiner


@cache
def _warn(what: str) -> None:
    warnings.warn(f"{what}: masks are carried by templates alone, on real footage more poorly", stacklevel=3)
