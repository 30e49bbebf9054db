"""Checkpoint folders and stored prompts with one file that somebody bent."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from targets import Target

from samlite_ros.errors import SamliteError
from samlite_ros.segmenter.files import check_folder
from samlite_ros.segmenter.sources import DEMO_FOLDER


def run_checks(name: str, data: bytes) -> None:
    """What is read of a folder before a network is built."""
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), name, data)
        with suppress(SamliteError):
            check_folder(Path(folder))


def run_loading(name: str, data: bytes) -> None:
    """All of it."""
    from samlite_ros.segmenter.options import SegmenterOptions
    from samlite_ros.segmenter.pytorch.checkpoint import load_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), name, data)
        with suppress(SamliteError):
            load_checkpoint(SegmenterOptions(model=folder, device="cpu"))


def _fill(folder: Path, name: str, data: bytes) -> None:
    for path in DEMO_FOLDER.iterdir():
        if path.suffix in (".json", ".safetensors") and path.name != name:
            (folder / path.name).symlink_to(path)
    (folder / name).write_bytes(data)


def _seeds(name: str, most: int = 1 << 20) -> Callable[[], Sequence[bytes]]:
    return lambda: [(DEMO_FOLDER / name).read_bytes()[:most]]


CHECKPOINT_TARGETS = {
    "checkpoint_config": Target(functools.partial(run_checks, "config.json"), _seeds("config.json")),
    "checkpoint_weights": Target(
        functools.partial(run_checks, "model.safetensors"), _seeds("model.safetensors", 200_000)
    ),
    "checkpoint_loading": Target(functools.partial(run_loading, "config.json"), _seeds("config.json")),
    "checkpoint_tokenizer": Target(
        functools.partial(run_loading, "tokenizer_config.json"), _seeds("tokenizer_config.json")
    ),
}
