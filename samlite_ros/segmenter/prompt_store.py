"""Prompts' features on disk, so that the next run need not compute them."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from safetensors import SafetensorError

from samlite_ros.errors import ModelLoadError
from samlite_ros.foreign.files import check_regular
from samlite_ros.foreign.limits import BANK_ENTRY_BYTES
from samlite_ros.foreign.words import one_line
from samlite_ros.segmenter.backend import Backend, PromptFeatures
from samlite_ros.types import Prompt

_LOG = logging.getLogger(__name__)
SPOILT_SUFFIX = ".spoilt"
"""Of an entry that was set aside, for whoever wants to know what happened to it."""


class PromptStore:
    """One safetensors file per prompt, in a folder per text encoder.

    Args:
        folder: Where; made when something is stored.
        backend: Computed the features; reads and writes them.
    """

    def __init__(self, folder: Path, backend: Backend) -> None:
        try:
            self._folder = folder.expanduser() / backend.fingerprint()
        except RuntimeError as error:  # of a user that there is not
            raise ModelLoadError(f"text_bank_folder {folder}: {error}") from error
        self._backend = backend

    def load(self, prompt: Prompt) -> PromptFeatures | None:
        """The stored features of a prompt; None where there are none. A spoilt file is set aside, which is told."""
        path = self._path(prompt)
        try:
            if check_regular(path) > BANK_ENTRY_BYTES:
                raise ValueError(f"it is larger than the {BANK_ENTRY_BYTES:,} bytes that an entry has at most")
            features, metadata = self._backend.read_features(path)
            if metadata.get("phrase") != prompt.key:
                raise ValueError("it is of another phrase")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # whatever the library raises of whatever is in the file
            self._set_aside(path, one_line(error))
            return None
        return features

    def _set_aside(self, path: Path, why: str) -> None:
        """Out of the way of the entry that is computed again."""
        aside = path.with_suffix(SPOILT_SUFFIX)
        try:
            path.replace(aside)
            where = f"set aside as {aside.name}"
        except OSError as error:  # of a folder that is read-only, or another process was faster
            where = f"which stays ({one_line(error)})"
        _LOG.warning("stored phrase %s is spoilt: %s; %s, and computed again", path, why, where)

    def save(self, prompt: Prompt, features: PromptFeatures) -> None:
        """Store a prompt's features; readers see the old file or the new one, never half of one.

        Raises:
            OSError: The folder cannot be written.
        """
        path = self._path(prompt)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        try:
            self._backend.write_features(partial, features, {"phrase": prompt.key})
            partial.replace(path)
        except SafetensorError as error:  # so it calls a full disk
            raise OSError(one_line(error)) from error
        finally:
            partial.unlink(missing_ok=True)

    def _path(self, prompt: Prompt) -> Path:
        return self._folder / f"{hashlib.sha256(prompt.key.encode()).hexdigest()[:32]}.safetensors"
