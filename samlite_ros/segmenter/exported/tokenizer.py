"""Phrases to tokens, by the `tokenizers` library alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from samlite_ros.errors import ModelLoadError, PhraseTooLongError
from samlite_ros.segmenter.backend import CONTEXT_TOKENS


class PhraseTokenizer:
    """Reads an export's tokenizer.

    Args:
        path: Of `tokenizer.json`.
        pad_token: Id of the token that fills a phrase up.

    Raises:
        ModelLoadError: The file cannot be read.
    """

    def __init__(self, path: Path, pad_token: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise ModelLoadError(f"{path} cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pad_token = pad_token

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens and mask of T phrases, int64 (T, 32) each; the mask is 1 at tokens, 0 at padding.

        Raises:
            PhraseTooLongError: A phrase exceeds the context.
        """
        ids = np.full((len(texts), CONTEXT_TOKENS), self._pad_token, np.int64)
        mask = np.zeros_like(ids)
        for row, (text, encoding) in enumerate(zip(texts, self._tokenizer.encode_batch(list(texts)), strict=True)):
            count = len(encoding.ids)
            if count > CONTEXT_TOKENS:
                raise PhraseTooLongError(text, count, CONTEXT_TOKENS)
            ids[row, :count], mask[row, :count] = encoding.ids, 1
        return ids, mask
