"""Each phrase is embedded once: the bank of text features, on the device and, if wanted, on disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch

from samlite_ros.segmenter.decoder import TextFeatures

CONTEXT_TOKENS = 32
"""Phrases are padded to exactly this: the position table is interpolated to the length, so that it is part of the model."""


class TextBank:
    """Least-recently-used store of phrases' features.

    Args:
        embed: Computes the features of phrases that are new, in one batch.
        capacity: Most phrases kept.
    """

    def __init__(self, embed: Callable[[Sequence[str]], TextFeatures], capacity: int) -> None:
        self._embed = embed
        self._capacity = capacity
        self._entries: OrderedDict[str, TextFeatures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, phrases: Sequence[str]) -> TextFeatures:
        """Features of phrases, in their order; only those not in the bank are computed.

        Raises:
            PhraseTooLongError: A phrase exceeds the context.
        """
        new = [p for p in dict.fromkeys(phrases) if p not in self._entries]
        found = {p: self._entries[p] for p in phrases if p in self._entries}
        if new:
            computed = self._embed(new)
            found |= {
                p: TextFeatures(computed.features[i : i + 1].clone(), computed.mask[i : i + 1].clone())
                for i, p in enumerate(new)
            }
        for phrase in phrases:
            self._entries[phrase] = found[phrase]
            self._entries.move_to_end(phrase)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return TextFeatures(
            torch.cat([found[p].features for p in phrases]), torch.cat([found[p].mask for p in phrases])
        )
