"""Which class id belongs to which phrase: the numbers in label images."""

from __future__ import annotations

from samlite_ros.errors import QueryRejected

CLASS_IDS = 255
"""Number of class ids: 0 to 254; 255 is "nothing" in the label image."""
REST_NS = 60_000_000_000
"""A freed class id is not given to another phrase for so long [ns], so that late readers do not mislabel."""


class ClassIds:
    """Gives each phrase in use an id of its own; counts an epoch for every change of the table."""

    def __init__(self) -> None:
        self.epoch = 0
        self._taken: dict[str, int] = {}
        self._resting: dict[int, tuple[str, int]] = {}  # id: (its last phrase, when it may go to another)

    def __getitem__(self, phrase: str) -> int:
        return self._taken[phrase]

    def take(self, phrase: str, now_ns: int, reason: int) -> int:
        """The phrase's id; a phrase that comes back while its id rests gets the same one.

        Raises:
            QueryRejected: All ids are taken or resting; carries `reason`.
        """
        if phrase in self._taken:
            return self._taken[phrase]
        class_id = self._free(phrase, now_ns)
        if class_id is None:
            raise QueryRejected(
                reason,
                f"all {CLASS_IDS} class ids are used up: {len(self._taken)} by phrases, {len(self._resting)} freed "
                f"less than {REST_NS // 10**9} s ago",
            )
        self._resting.pop(class_id, None)
        self._taken[phrase] = class_id
        self.epoch += 1
        return class_id

    def release(self, phrase: str, now_ns: int) -> None:
        """Nobody asks for the phrase any more: its id rests."""
        self._resting[self._taken.pop(phrase)] = phrase, now_ns + REST_NS
        self.epoch += 1

    def shift(self, delta_ns: int) -> None:
        """The clock was set: move what depends on it."""
        self._resting = {i: (phrase, free_ns + delta_ns) for i, (phrase, free_ns) in self._resting.items()}

    def _free(self, phrase: str, now_ns: int) -> int | None:
        for class_id, (last_phrase, _) in self._resting.items():
            if last_phrase == phrase:
                return class_id
        self._resting = {i: rest for i, rest in self._resting.items() if rest[1] > now_ns}
        used = {*self._taken.values(), *self._resting}
        return next((i for i in range(CLASS_IDS) if i not in used), None)
