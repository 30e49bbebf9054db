"""Prompts' features on disk, so that the next run need not compute them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from samlite_ros.segmenter.pytorch.decoder import TextFeatures
from samlite_ros.types import Prompt


class TextStore:
    """One safetensors file per prompt, in a folder per text encoder.

    Args:
        folder: Where; made when something is stored.
        fingerprint: Names the weights and tokenizer that the features come from.
        device: Where features are wanted.
    """

    def __init__(self, folder: Path, fingerprint: str, device: torch.device) -> None:
        self._folder = folder.expanduser() / fingerprint
        self._device = device

    def load(self, prompt: Prompt) -> TextFeatures | None:
        """The stored features of a prompt; None where there are none, or the file is damaged."""
        try:
            with safe_open(self._path(prompt), framework="pt") as file:
                if (file.metadata() or {}).get("phrase") != prompt.key:
                    return None
                return TextFeatures(*(file.get_tensor(name).to(self._device) for name in ("features", "mask")))
        except (OSError, SafetensorError):
            return None

    def save(self, prompt: Prompt, text: TextFeatures) -> None:
        """Store a prompt's features; readers see the old file or the new one, never half of one.

        Raises:
            OSError: The folder cannot be written.
        """
        path = self._path(prompt)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        save_file({"features": text.features.cpu(), "mask": text.mask.cpu()}, partial, {"phrase": prompt.key})
        partial.replace(path)

    def _path(self, prompt: Prompt) -> Path:
        return self._folder / f"{hashlib.sha256(prompt.key.encode()).hexdigest()[:32]}.safetensors"
