"""From a model's name to a folder with its files: embedded, local, or from the hub."""

from __future__ import annotations

import re
from pathlib import Path

from samlite_ros.errors import ModelLoadError

DEMO_FOLDER = Path(__file__).parent.parent / "models" / "demo"
PUBLISHED = ("vil-uob/sam3-litetext-s0", "vil-uob/sam3-litetext-s1", "vil-uob/sam3-litetext-l")
RIGHT_NAMES = f"'demo', a local folder, or one of {', '.join(PUBLISHED)}"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "merges.txt", "vocab.txt"]
_HINTS = {
    "huggingface/sam-3-lite-text": "it is often quoted, but was never published",
    "facebook/sam3-lite-text": "it is often quoted, but was never published",
    "facebook/sam3_lite_text": "transformers' documentation quotes it, but it was never published",
    "facebook/sam3": "it is gated, and its text encoder is of another architecture",
    "sammodel": "that is a class of the first Segment Anything, which takes no phrases, not a checkpoint",
    "samprocessor": "that is a class of the first Segment Anything, which takes no phrases, not a checkpoint",
    "sam3litetextmodel": "that is a class, not a checkpoint",
}


def find_checkpoint(name: str) -> Path:
    """The folder with a checkpoint's files; downloads them where only the hub has them.

    Args:
        name: 'demo', a folder, or a hub id.

    Raises:
        ModelLoadError: There is no such model, or it cannot be fetched.
    """
    if name == "demo":
        return DEMO_FOLDER
    path = Path(name).expanduser()
    if name and path.is_dir():
        return path
    refuse_wrong_name(name)
    return cached_checkpoint(name) or download_checkpoint(name)


def refuse_wrong_name(name: str) -> None:
    """Reject what is neither a folder nor a plausible hub id.

    Raises:
        ModelLoadError: With the names that would be right.
    """
    hint = _HINTS.get(name.lower())
    if hint is not None:
        raise ModelLoadError(f"there is no usable model {name!r}: {hint}. Use {RIGHT_NAMES}")
    if Path(name).expanduser().is_file():
        raise ModelLoadError(f"model {name!r} is a file: give the folder that holds config.json and the weights")
    if not _HUB_ID.fullmatch(name):
        similar = [full for full in PUBLISHED if name and full.lower().endswith(name.lower())]
        wanted = f"did you mean {similar[0]!r}?" if similar else f"use {RIGHT_NAMES}"
        raise ModelLoadError(f"no folder {name!r} exists here, and it is not a hub id: {wanted}")


def cached_checkpoint(name: str) -> Path | None:
    """Where the hub's client keeps this checkpoint, without asking the network; None = not, or not all of it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    complete = (folder / "config.json").exists() and any(folder.glob("*.safetensors"))
    return folder if complete else None


def cached_config(name: str) -> Path | None:
    """config.json of a hub checkpoint, from the hub client's cache, else from the hub; None = from neither."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HTTPError

    try:
        return Path(hf_hub_download(name, "config.json"))
    except (
        HTTPError,
        OSError,
    ):  # of httpx or its successor, whichever the client uses; its own errors derive from both
        return None


def download_checkpoint(name: str) -> Path:
    """Fetch weights, configuration and tokenizer from the hub, into the hub client's cache.

    Args:
        name: Hub id.

    Raises:
        ModelLoadError: No such checkpoint, no access to it, or no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    refuse_wrong_name(name)
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except GatedRepoError as error:
        raise ModelLoadError(f"{name!r} is gated: ask for access on its hub page, then `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise ModelLoadError(f"{name!r} is neither a folder here nor on the hub: use {RIGHT_NAMES}") from error
    except LocalEntryNotFoundError as error:
        raise ModelLoadError(
            f"{name!r} is not on this machine, and the hub cannot be reached: connect this machine, or run"
            f" `samlite download {name}` on one that is connected, and copy the folder that it names here"
        ) from error
    except (HTTPError, OSError) as error:
        raise ModelLoadError(f"downloading {name!r} failed: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
