"""Which class id belongs to which prompt: the numbers in label images."""

from __future__ import annotations

from typing import NamedTuple

from samlite_ros.errors import QueryRejected
from samlite_ros.foreign.words import quoted
from samlite_ros.queries.requests import Refusal
from samlite_ros.types import Prompt

CLASS_IDS = 255
"""Number of class ids: 0 to 254; 255 is "nothing" in the label image."""
REST_NS = 60_000_000_000
"""A freed class id is not given to another prompt for so long [ns], so that late readers do not mislabel."""

_EXHAUSTED = Refusal.CLASS_IDS_EXHAUSTED


class _Rest(NamedTuple):
    """A freed id: its last prompt, when it may go to another one [ns], and on whose account it rests."""

    prompt: Prompt
    free_ns: int
    client: str


class ClassIds:
    """Gives each prompt in use an id of its own; counts an epoch for every change of the table."""

    def __init__(self) -> None:
        self.epoch = 0
        self._taken: dict[Prompt, int] = {}
        self._resting: dict[int, _Rest] = {}

    def __getitem__(self, prompt: Prompt) -> int:
        return self._taken[prompt]

    def take(self, prompt: Prompt, now_ns: int, client: str, held: int, share: int) -> int:
        """The prompt's id; a prompt that comes back while its id rests gets the same one.

        Args:
            prompt: Who needs one.
            now_ns: The time [ns].
            client: For whom.
            held: How many prompts the client asks for already.
            share: It may have so many ids, those that it freed included while they rest.

        Raises:
            QueryRejected: The client's share is used up, or all ids are taken or resting.
        """
        if prompt in self._taken:
            return self._taken[prompt]
        class_id = self._own_of(prompt)
        if class_id is None:
            class_id = self._new(now_ns, client, held, share)
        self._resting.pop(class_id, None)
        self._taken[prompt] = class_id
        self.epoch += 1
        return class_id

    def release(self, prompt: Prompt, now_ns: int, client: str) -> None:
        """Nobody asks for the prompt any more, this client was the last: its id rests."""
        self._resting[self._taken.pop(prompt)] = _Rest(prompt, now_ns + REST_NS, client)
        self.epoch += 1

    def shift(self, delta_ns: int) -> None:
        """The clock was set: move what depends on it."""
        moved = {i: rest._replace(free_ns=rest.free_ns + delta_ns) for i, rest in self._resting.items()}
        self._resting = moved

    def _own_of(self, prompt: Prompt) -> int | None:
        """That which it had, and which rests."""
        return next((class_id for class_id, rest in self._resting.items() if rest.prompt == prompt), None)

    def _new(self, now_ns: int, client: str, held: int, share: int) -> int:
        self._resting = {i: rest for i, rest in self._resting.items() if rest.free_ns > now_ns}
        resting = sum(rest.client == client for rest in self._resting.values())
        if held + resting >= share:
            raise QueryRejected(
                _EXHAUSTED,
                f"client {quoted(client)} has used up its share of {share} class ids: {held} by phrases, {resting} "
                f"freed less than {REST_NS // 10**9} s ago",
            )
        used = {*self._taken.values(), *self._resting}
        free = next((i for i in range(CLASS_IDS) if i not in used), None)
        if free is None:
            raise QueryRejected(
                _EXHAUSTED,
                f"all {CLASS_IDS} class ids are used up: {len(self._taken)} by phrases, {len(self._resting)} freed "
                f"less than {REST_NS // 10**9} s ago",
            )
        return free
