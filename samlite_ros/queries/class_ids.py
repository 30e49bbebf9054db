"""Which class id belongs to which prompt: the numbers in label images."""

from __future__ import annotations

from samlite_ros.errors import QueryRejected
from samlite_ros.types import Prompt

CLASS_IDS = 255
"""Number of class ids: 0 to 254; 255 is "nothing" in the label image."""
REST_NS = 60_000_000_000
"""A freed class id is not given to another prompt for so long [ns], so that late readers do not mislabel."""


class ClassIds:
    """Gives each prompt in use an id of its own; counts an epoch for every change of the table."""

    def __init__(self) -> None:
        self.epoch = 0
        self._taken: dict[Prompt, int] = {}
        self._resting: dict[int, tuple[Prompt, int]] = {}  # id: (its last prompt, when it may go to another)

    def __getitem__(self, prompt: Prompt) -> int:
        return self._taken[prompt]

    def take(self, prompt: Prompt, now_ns: int, reason: int) -> int:
        """The prompt's id; a prompt that comes back while its id rests gets the same one.

        Raises:
            QueryRejected: All ids are taken or resting; carries `reason`.
        """
        if prompt in self._taken:
            return self._taken[prompt]
        class_id = self._free(prompt, now_ns)
        if class_id is None:
            raise QueryRejected(
                reason,
                f"all {CLASS_IDS} class ids are used up: {len(self._taken)} by phrases, {len(self._resting)} freed "
                f"less than {REST_NS // 10**9} s ago",
            )
        self._resting.pop(class_id, None)
        self._taken[prompt] = class_id
        self.epoch += 1
        return class_id

    def release(self, prompt: Prompt, now_ns: int) -> None:
        """Nobody asks for the prompt any more: its id rests."""
        self._resting[self._taken.pop(prompt)] = prompt, now_ns + REST_NS
        self.epoch += 1

    def shift(self, delta_ns: int) -> None:
        """The clock was set: move what depends on it."""
        self._resting = {i: (prompt, free_ns + delta_ns) for i, (prompt, free_ns) in self._resting.items()}

    def _free(self, prompt: Prompt, now_ns: int) -> int | None:
        for class_id, (last_prompt, _) in self._resting.items():
            if last_prompt == prompt:
                return class_id
        self._resting = {i: rest for i, rest in self._resting.items() if rest[1] > now_ns}
        used = {*self._taken.values(), *self._resting}
        return next((i for i in range(CLASS_IDS) if i not in used), None)
