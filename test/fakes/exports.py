"""Exports for tests, each made once for all workers."""

from __future__ import annotations

import fcntl
from pathlib import Path

from prompts import prompts
from small_networks import Shape, make_checkpoint, make_frame

from samlite_ros.segmenter.export.export import Exporter, load_checkpoint
from samlite_ros.segmenter.export.options import ExportOptions
from samlite_ros.segmenter.exported.manifest import Manifest, is_export
from samlite_ros.segmenter.pytorch.backend import TorchBackend

PHRASES = ("red ball", " ".join(["a blue box"] * 7), "object", "green cone")


def export_small(shape: Shape, folder: Path, seed: int = 0, precision: str = "fp32", parity: bool = True) -> Manifest:
    """Export a small network of random weights; its own parity check must hold."""
    options = ExportOptions("small", precision=precision, max_prompts=len(PHRASES))
    exporter = Exporter(TorchBackend(make_checkpoint(shape, seed)), folder, options, lambda _: None)
    if parity:
        exporter.ask([make_frame(seed).image], prompts(*PHRASES))
    return exporter.export()


def exported_demo(shared: Path) -> Path:
    """The demo network's export, in a folder that all workers share."""
    folder = shared / "demo_export"
    with (shared / "demo_export.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_export(folder):
            options = ExportOptions("demo")
            Exporter(load_checkpoint(options), folder, options, lambda _: None).export()
    return folder
