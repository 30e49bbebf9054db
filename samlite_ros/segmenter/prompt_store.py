"""Prompts' features on disk, so that the next run need not compute them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from safetensors import SafetensorError

from samlite_ros.segmenter.backend import Backend, PromptFeatures
from samlite_ros.types import Prompt


class PromptStore:
    """One safetensors file per prompt, in a folder per text encoder.

    Args:
        folder: Where; made when something is stored.
        backend: Computed the features; reads and writes them.
    """

    def __init__(self, folder: Path, backend: Backend) -> None:
        self._folder = folder.expanduser() / backend.fingerprint()
        self._backend = backend

    def load(self, prompt: Prompt) -> PromptFeatures | None:
        """The stored features of a prompt; None where there are none, or the file is damaged."""
        try:
            features, metadata = self._backend.read_features(self._path(prompt))
        except (OSError, SafetensorError):
            return None
        return features if metadata.get("phrase") == prompt.key else None

    def save(self, prompt: Prompt, features: PromptFeatures) -> None:
        """Store a prompt's features; readers see the old file or the new one, never half of one.

        Raises:
            OSError: The folder cannot be written.
        """
        path = self._path(prompt)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        self._backend.write_features(partial, features, {"phrase": prompt.key})
        partial.replace(path)

    def _path(self, prompt: Prompt) -> Path:
        return self._folder / f"{hashlib.sha256(prompt.key.encode()).hexdigest()[:32]}.safetensors"
