"""Each prompt is embedded once: the bank of text features, on the device and, if wanted, on disk."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch

from samlite_ros.segmenter.pytorch.decoder import TextFeatures, cut
from samlite_ros.segmenter.pytorch.text_store import TextStore
from samlite_ros.types import Prompt

_LOG = logging.getLogger(__name__)

CONTEXT_TOKENS = 32
"""Prompts are padded to exactly this: the position table is stretched to the length, so that the length is part of
the model."""


class TextBank:
    """Least-recently-used store of prompts' features.

    Args:
        encode: Computes the features of new prompts, in one call.
        capacity: Most prompts kept in memory.
        store: Where they are kept between runs; None = nowhere.
    """

    def __init__(
        self, encode: Callable[[Sequence[Prompt]], TextFeatures], capacity: int, store: TextStore | None
    ) -> None:
        self._encode = encode
        self._capacity = capacity
        self._store = store
        self._entries: OrderedDict[Prompt, TextFeatures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, prompts: Sequence[Prompt]) -> TextFeatures:
        """Features of prompts, in their order; only what is neither in memory nor on disk is computed.

        Raises:
            ValueError: No prompts.
            PhraseTooLongError: A prompt exceeds the context.
        """
        if not prompts:
            raise ValueError("at least one phrase is needed")
        found = {p: entry for p in prompts if (entry := self._entries.get(p) or self._load(p))}
        found |= self._compute([p for p in dict.fromkeys(prompts) if p not in found])
        for prompt in prompts:
            self._entries[prompt] = found[prompt]
            self._entries.move_to_end(prompt)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return TextFeatures(
            torch.cat([found[p].features for p in prompts]), torch.cat([found[p].mask for p in prompts])
        )

    def _load(self, prompt: Prompt) -> TextFeatures | None:
        return self._store.load(prompt) if self._store else None

    def _compute(self, prompts: Sequence[Prompt]) -> dict[Prompt, TextFeatures]:
        if not prompts:
            return {}
        computed = self._encode(prompts)
        rows = [cut(computed, i, 1) for i in range(len(prompts))]
        entries = {p: TextFeatures(r.features.clone(), r.mask.clone()) for p, r in zip(prompts, rows, strict=True)}
        self._save(entries)
        return entries

    def _save(self, entries: Mapping[Prompt, TextFeatures]) -> None:
        """A disk that cannot be written costs the next run some time, never this one its answer."""
        if self._store is None:
            return
        try:
            for prompt, entry in entries.items():
                self._store.save(prompt, entry)
        except OSError as error:
            _LOG.warning("phrases are no longer kept on disk: %s", error)
            self._store = None
