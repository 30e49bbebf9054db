"""Each prompt is embedded once: the bank of prompts' features, on the device and, if wanted, on disk."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from samlite_ros.segmenter.backend import PromptFeatures
from samlite_ros.segmenter.prompt_store import PromptStore
from samlite_ros.types import Prompt

_LOG = logging.getLogger(__name__)


class PromptBank:
    """Least-recently-used store of prompts' features.

    Args:
        encode: Computes the features of new prompts, in one call.
        capacity: Most prompts kept in memory.
        store: Where they are kept between runs; None = nowhere.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Prompt]], Sequence[PromptFeatures]],
        capacity: int,
        store: PromptStore | None,
    ) -> None:
        self._encode = encode
        self._capacity = capacity
        self._store = store
        self._entries: OrderedDict[Prompt, PromptFeatures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, prompts: Sequence[Prompt]) -> tuple[PromptFeatures, ...]:
        """Features of prompts, in their order; only what is neither in memory nor on disk is computed.

        Raises:
            ValueError: No prompts.
            PhraseTooLongError: A prompt exceeds the context.
        """
        if not prompts:
            raise ValueError("at least one phrase is needed")
        found = {p: entry for p in prompts if (entry := self._find(p)) is not None}
        found |= self._compute([p for p in dict.fromkeys(prompts) if p not in found])
        for prompt in prompts:
            self._entries[prompt] = found[prompt]
            self._entries.move_to_end(prompt)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return tuple(found[p] for p in prompts)

    def _find(self, prompt: Prompt) -> PromptFeatures | None:
        entry = self._entries.get(prompt)
        return self._store.load(prompt) if entry is None and self._store else entry

    def _compute(self, prompts: Sequence[Prompt]) -> dict[Prompt, PromptFeatures]:
        if not prompts:
            return {}
        entries = dict(zip(prompts, self._encode(prompts), strict=True))
        self._save(entries)
        return entries

    def _save(self, entries: Mapping[Prompt, PromptFeatures]) -> None:
        """A disk that cannot be written costs the next run some time, never this one its answer."""
        if self._store is None:
            return
        try:
            for prompt, entry in entries.items():
                self._store.save(prompt, entry)
        except OSError as error:
            _LOG.warning("phrases are no longer kept on disk: %s", error)
            self._store = None
