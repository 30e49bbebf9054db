"""Is a folder a SAM3-LiteText checkpoint, and whole? Answered by reading headers, before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from samlite_ros.errors import ModelLoadError
from samlite_ros.foreign.files import check_regular
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import CHECKPOINT_JSON_BYTES, CHECKPOINT_LAYERS
from samlite_ros.foreign.words import one_line, quoted, quoted_names
from samlite_ros.segmenter.exported.manifest import check_finished, is_export

ARCHITECTURE = "sam3_lite_text"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


_BIG_FILES = ("tokenizer.json", "vocab.json")
"""Tables of words, which configure nothing."""
_WAYS_TO_CODE = frozenset(
    {"auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal"}
    | {"experts_implementation", "use_kernels", "base_model_name_or_path"}
)
"""What makes transformers import, fetch or compile something else than itself."""
_LARGEST_NUMBER, _LARGEST_IMAGE_PX = 10**8, 16384


def check_folder(folder: Path) -> list[Path]:
    """Check configuration, weight files and tokenizer.

    Returns:
        The weight files.

    Raises:
        ModelLoadError: Names the file and what is wrong with it.
    """
    check_architecture(folder)
    check_settings(folder)
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
    if is_export(folder):
        raise ModelLoadError(f"{folder} is an export, not a checkpoint: backend 'auto', 'onnx' or 'tensorrt' runs it")
    check_finished(folder)
    if not path.exists():
        raise ModelLoadError(f"{folder} has no config.json: it is not a checkpoint's folder")
    found = _read_json(path).get("model_type")
    if found != ARCHITECTURE:
        raise ModelLoadError(f"{path} is of the architecture {quoted(found)}, only {ARCHITECTURE!r} can be loaded")


def check_settings(folder: Path) -> None:
    """Check that no JSON file of the folder leads to code, or asks for a network that is no network.

    Raises:
        ModelLoadError: Names the file and the key.
    """
    if (folder / "adapter_config.json").exists():
        raise ModelLoadError(f"{folder} has adapter_config.json: adapters are not loaded, merge it into the weights")
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(".index.json"):
            continue
        if path.name in _BIG_FILES:
            _check_file(path)
        else:
            _check_values(path, _read_json(path))


def _check_values(path: Path, values: Any, key: str = "") -> None:
    if isinstance(values, dict):
        for name, value in values.items():
            if name in _WAYS_TO_CODE and value is not None:
                raise ModelLoadError(f"{path} has the key {name}, which leads to other code: it is not loaded")
            _check_values(path, value, name)
    elif isinstance(values, list):
        for value in values:
            _check_values(path, value, key)
    elif isinstance(values, int | float) and abs(values) > _largest(key):
        raise ModelLoadError(f"{path}: {quoted(key)} is {quoted(values)}, at most {_largest(key)} is taken")


def _largest(key: str) -> int:
    if any(part in key for part in ("layers", "depth", "blocks")):
        return CHECKPOINT_LAYERS
    return _LARGEST_IMAGE_PX if key == "image_size" else _LARGEST_NUMBER


def weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        table = _read_json(index).get("weight_map", {})
        names = sorted(set(map(str, table.values()))) if isinstance(table, dict) else []
        elsewhere = [name for name in names if Path(name).name != name]
        if elsewhere:
            raise ModelLoadError(f"{index} names weight files outside of the folder: {quoted_names(elsewhere)}")
        missing = [name for name in names if not (folder / name).exists()]
        if missing or not names:
            raise ModelLoadError(
                f"{index} names weight files that are missing: {quoted_names(missing) or 'none at all'}"
            )
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
    _check_file(path, most_bytes=None)
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
        content = read_json(path, CHECKPOINT_JSON_BYTES)
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} holds a {type(content).__name__}, expected an object")
    return content


def _check_file(path: Path, most_bytes: int | None = CHECKPOINT_JSON_BYTES) -> None:
    try:
        size = check_regular(path)
    except OSError as error:
        raise ModelLoadError(f"{path} cannot be read: {one_line(error)}") from error
    if most_bytes is not None and size > most_bytes:
        raise ModelLoadError(f"{path} has {size:,} bytes, at most {most_bytes:,} are read")
