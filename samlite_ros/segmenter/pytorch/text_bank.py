"""Each phrase is embedded once: the bank of text features, on the device and, if wanted, on disk."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch

from samlite_ros.segmenter.pytorch.decoder import TextFeatures, cut
from samlite_ros.segmenter.pytorch.text_store import TextStore

_LOG = logging.getLogger(__name__)

CONTEXT_TOKENS = 32
"""Phrases are padded to exactly this: the position table is stretched to the length, so that the length is part of
the model."""


class TextBank:
    """Least-recently-used store of phrases' features.

    Args:
        encode: Computes the features of new phrases, in one call.
        capacity: Most phrases kept in memory.
        store: Where they are kept between runs; None = nowhere.
    """

    def __init__(self, encode: Callable[[Sequence[str]], TextFeatures], capacity: int, store: TextStore | None) -> None:
        self._encode = encode
        self._capacity = capacity
        self._store = store
        self._entries: OrderedDict[str, TextFeatures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, phrases: Sequence[str]) -> TextFeatures:
        """Features of phrases, in their order; only what is neither in memory nor on disk is computed.

        Raises:
            ValueError: No phrases.
            PhraseTooLongError: A phrase exceeds the context.
        """
        if not phrases:
            raise ValueError("at least one phrase is needed")
        found = {p: entry for p in phrases if (entry := self._entries.get(p) or self._load(p))}
        found |= self._compute([p for p in dict.fromkeys(phrases) if p not in found])
        for phrase in phrases:
            self._entries[phrase] = found[phrase]
            self._entries.move_to_end(phrase)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return TextFeatures(
            torch.cat([found[p].features for p in phrases]), torch.cat([found[p].mask for p in phrases])
        )

    def _load(self, phrase: str) -> TextFeatures | None:
        return self._store.load(phrase) if self._store else None

    def _compute(self, phrases: Sequence[str]) -> dict[str, TextFeatures]:
        if not phrases:
            return {}
        computed = self._encode(phrases)
        rows = [cut(computed, i, 1) for i in range(len(phrases))]
        entries = {p: TextFeatures(r.features.clone(), r.mask.clone()) for p, r in zip(phrases, rows, strict=True)}
        self._save(entries)
        return entries

    def _save(self, entries: Mapping[str, TextFeatures]) -> None:
        """A disk that cannot be written costs the next run some time, never this one its answer."""
        if self._store is None:
            return
        try:
            for phrase, entry in entries.items():
                self._store.save(phrase, entry)
        except OSError as error:
            _LOG.warning("phrases are no longer kept on disk: %s", error)
            self._store = None
