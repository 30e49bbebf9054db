"""Where a model's export is: the folder that was named, or the one that `samlite export` made for it."""

from __future__ import annotations

from pathlib import Path

from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter.exported.cache import cache_folder
from samlite_ros.segmenter.exported.manifest import Manifest, check_files, check_finished, is_export, read_manifest
from samlite_ros.segmenter.exported.source import checkpoint_digest
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.segmenter.sources import DEMO_FOLDER


def find_export(options: SegmenterOptions) -> tuple[Path, Manifest]:
    """The export's folder, checked file by file.

    Raises:
        ModelLoadError: There is none, or it is broken.
    """
    folder = export_of(options.model)
    if folder is None:
        check_finished(Path(options.model).expanduser())
        raise ModelLoadError(
            f"model {options.model!r} is no export, which backend {options.backend!r} needs: `samlite export"
            f" {options.model}` makes one in {default_folder(options.model)}, with -o wherever you like"
        )
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if is_stale(options.model, manifest):
        raise ModelLoadError(
            f"{folder} was exported from another checkpoint than {options.model!r} is now: `samlite export"
            f" {options.model}` makes it anew"
        )
    return folder, manifest


def export_of(model: str) -> Path | None:
    """The folder of a model's export; None = there is none."""
    candidates = (Path(model).expanduser(), default_folder(model))
    return next((folder for folder in candidates if model and is_export(folder)), None)


def is_stale(model: str, manifest: Manifest) -> bool:
    """Whether the checkpoint of this name is another one than was exported; False where it is not at hand."""
    checkpoint = DEMO_FOLDER if model == "demo" else Path(model).expanduser()
    if is_export(checkpoint) or not (checkpoint / "config.json").is_file() or not manifest.source_sha256:
        return False
    return checkpoint_digest(checkpoint) != manifest.source_sha256


def default_folder(model: str) -> Path:
    """Where a model is exported to when nobody says where."""
    return cache_folder() / "exports" / "".join(c if c.isalnum() or c in "._-" else "_" for c in model)
