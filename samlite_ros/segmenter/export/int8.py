"""The last step of an int8 export: the image's graphs are rounded, judged by what float32 finds, and kept instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlite_ros.segmenter.export.findings import check_findings, compare_findings, summary
from samlite_ros.segmenter.export.quantise import quantise_stages, rounded_file
from samlite_ros.segmenter.exported.manifest import PROMPT_GRAPHS, Manifest
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter


class Calibration(NamedTuple):
    """What the network will see, and what it will be asked.

    Args:
        frames: To calibrate on; uint8 (H, W, 3), RGB.
        judged: Others, to judge by.
        phrases: Some of which name what is in `judged`.
    """

    frames: Sequence[NDArray[np.uint8]]
    judged: Sequence[NDArray[np.uint8]]
    phrases: Sequence[str]


def in_int8(folder: Path, manifest: Manifest, calibration: Calibration, tell: Callable[[str], object]) -> Manifest:
    """Round the image's graphs of a float32 export.

    Returns:
        The manifest of what the folder holds now; the image's float32 graphs are gone.

    Raises:
        ExportError: It does not find what float32 finds; the folder is as it was.
    """
    stages = [manifest.graph(name) for name in manifest.stages]
    try:
        rounded = quantise_stages(folder, stages, manifest.image_size, calibration.frames, tell)
        small = replace(manifest, graphs=(*rounded, *(manifest.graph(name) for name in PROMPT_GRAPHS)))
        tell(f"int8 is judged on {len(calibration.judged)} frames, {len(calibration.phrases)} phrases")
        wanted, got = _segmenter(folder, manifest), _segmenter(folder, small)
        findings = compare_findings(wanted, got, calibration.judged, calibration.phrases)
        check_findings(findings)
    except BaseException:
        for graph in stages:
            rounded_file(folder, graph).unlink(missing_ok=True)
        raise
    for graph in stages:
        (folder / graph.file).unlink()
    return replace(small, findings=summary(findings))


def _segmenter(folder: Path, manifest: Manifest) -> Sam3LiteTextSegmenter:
    from samlite_ros.segmenter.onnx.load import start

    options = SegmenterOptions(str(folder), device="cpu", provider="cpu")
    return Sam3LiteTextSegmenter(start(folder, manifest, options), options)
