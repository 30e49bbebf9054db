"""The text encoder: prompts to tokens to features; its memory can be given back between uses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers.models.sam3_lite_text.modeling_sam3_lite_text import Sam3LiteTextTextModel

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.segmenter.backend import CONTEXT_TOKENS
from samlite_ros.segmenter.files import weight_files
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint
from samlite_ros.segmenter.pytorch.decoder import TextFeatures
from samlite_ros.types import Prompt

_BATCH = 64


class TextEncoder:
    """Encodes prompts with a checkpoint's text encoder.

    Args:
        checkpoint: The loaded network.
        keep: False: free the text encoder's weights after each use, and read them again for the next new prompt.
    """

    def __init__(self, checkpoint: Checkpoint, keep: bool) -> None:
        self._checkpoint = checkpoint
        self._keep = keep or checkpoint.folder is None
        self._release()

    def encode(self, prompts: Sequence[Prompt]) -> list[TextFeatures]:
        """Features of each prompt, padded to the context's length.

        Raises:
            PhraseTooLongError: A prompt exceeds the context.
            ModelLoadError: The weights were freed, and their file is gone since.
        """
        rows = [self._tokenize(prompt) for prompt in prompts]
        model, device = self._with_weights(), self._checkpoint.device
        found: list[TextFeatures] = []
        for start in range(0, len(rows), _BATCH):
            columns = zip(*rows[start : start + _BATCH], strict=True)
            ids, masks = (torch.tensor(column, device=device) for column in columns)  # (n, 32) each
            output = model.get_text_features(input_ids=ids, attention_mask=masks, return_dict=True)
            pairs = zip(output.pooler_output.split(1), masks.split(1), strict=True)  # (1, 32, C), (1, 32)
            found += [TextFeatures(features.clone(), mask.clone()) for features, mask in pairs]
        self._release()
        return found

    def fingerprint(self) -> str:
        """Names what features depend on: the text encoder's weights, their dtype, the tokenizer.

        Raises:
            ModelLoadError: The weights were freed, and their file is gone since.
        """
        digest = hashlib.sha256()
        model = self._with_weights()
        for module in (model.text_encoder, model.text_projection):
            for name, tensor in sorted(module.state_dict().items()):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().flatten().view(torch.uint8).cpu().numpy())
        digest.update(repr(sorted(self._checkpoint.tokenizer.get_vocab().items())).encode())
        self._release()
        return digest.hexdigest()[:32]

    def _with_weights(self) -> Any:
        """The model, its text encoder read again if it was freed."""
        model = self._checkpoint.model
        if model.text_encoder is None:
            model.text_encoder = _load_text_encoder(self._checkpoint)
        return model

    def _release(self) -> None:
        """Free the weights, if they are not to be kept."""
        if not self._keep:
            self._checkpoint.model.text_encoder = None

    def _tokenize(self, prompt: Prompt) -> tuple[list[int], list[int]]:
        row = self._checkpoint.tokenizer(prompt.text, padding="max_length", max_length=CONTEXT_TOKENS, verbose=False)
        if len(row.input_ids) > CONTEXT_TOKENS:
            raise PhraseTooLongError(prompt.text, len(row.input_ids), CONTEXT_TOKENS)
        return row.input_ids, row.attention_mask


def _load_text_encoder(checkpoint: Checkpoint) -> Any:
    """Read only the text encoder's weights, from the files that the rest came from."""
    encoder: Any = Sam3LiteTextTextModel(checkpoint.model.config.text_config)
    try:
        encoder.load_state_dict(_read_part(checkpoint.folder, "text_encoder."))
    except (OSError, RuntimeError) as error:
        raise ModelLoadError(f"{checkpoint.folder} no longer holds the text encoder's weights: {error}") from error
    return encoder.to(checkpoint.device, checkpoint.dtype).eval().requires_grad_(False)


def _read_part(folder: Path | None, prefix: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for path in weight_files(folder) if folder is not None else ():
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                _, found, rest = name.partition(prefix)
                if found:
                    tensors[rest] = file.get_tensor(name)
    return tensors
