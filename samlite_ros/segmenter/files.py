"""Is a folder a SAM3-LiteText checkpoint, and whole? Answered by reading headers, before anything is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from samlite_ros.errors import ModelLoadError

ARCHITECTURE = "sam3_lite_text"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_folder(folder: Path) -> list[Path]:
    """Check configuration, weight files and tokenizer.

    Returns:
        The weight files.

    Raises:
        ModelLoadError: Names the file and what is wrong with it.
    """
    check_architecture(folder)
    weights = weight_files(folder)
    for path in weights:
        _check_weights(path)
    if not any((folder / name).exists() for name in _TOKENIZER_FILES):
        raise ModelLoadError(f"{folder} has no tokenizer: tokenizer.json, or vocab.json and merges.txt, belong to it")
    return weights


def check_architecture(folder: Path) -> None:
    """Check config.json.

    Raises:
        ModelLoadError: It is missing, unreadable, or of another architecture.
    """
    path = folder / "config.json"
    if not path.exists():
        raise ModelLoadError(f"{folder} has no config.json: it is not a checkpoint's folder")
    found = _read_json(path).get("model_type")
    if found != ARCHITECTURE:
        raise ModelLoadError(f"{path} is of the architecture {found!r}, only {ARCHITECTURE!r} can be loaded")


def weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(_read_json(index).get("weight_map", {}).values()))
        missing = [name for name in names if not (folder / name).exists()]
        if missing or not names:
            raise ModelLoadError(f"{index} names weight files that are missing: {', '.join(missing) or 'none at all'}")
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if single.exists():
        return [single]
    pickles = [p.name for pattern in _PICKLES for p in folder.glob(pattern)]
    if pickles:
        raise ModelLoadError(
            f"{folder} holds its weights as {pickles[0]}, a pickle, which can run code: only safetensors are loaded"
        )
    raise ModelLoadError(f"{folder} has no model.safetensors")


def _check_weights(path: Path) -> None:
    """A truncated file has a header that promises more than there is, which opening it notices."""
    with path.open("rb") as file:
        if file.read(20).startswith(b"version https://git-"):
            raise ModelLoadError(f"{path} is only a pointer to the weights: type `git lfs pull` in its folder")
    try:
        with safe_open(path, framework="pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise ModelLoadError(f"{path} is corrupt or cut off ({error}): fetch it again") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} holds a {type(content).__name__}, expected an object")
    return content
