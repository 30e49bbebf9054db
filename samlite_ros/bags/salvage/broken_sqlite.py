"""A sqlite3 bag file that SQLite itself refuses: an interrupted copy, a full disk, damage in its tree of pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from samlite_ros.bags.salvage.sqlite_pages import NULL, Field, Row, SqlitePages, fields_of
from samlite_ros.bags.storage import RawMessage, Topic, decompressed
from samlite_ros.errors import BagError

SERIALIZATION = "cdr"


class _Place(NamedTuple):
    """Where a message is; sorts as it was recorded."""

    log_time_ns: int
    row: Row
    topic_id: int


class BrokenSqlite:
    """The complete messages of a damaged file, wherever the damage lies.

    Raises:
        BagError: It is not a sqlite3 file, or names no topic.
    """

    def __init__(self, path: Path) -> None:
        self._pages = SqlitePages(path)
        self._places: list[_Place] = []
        self._names: dict[int, Topic] = {}
        for row in self._pages.rows():
            self._take(row)
        if not self._names:
            raise BagError(f"{path}: damaged where its topics are named")
        self._places.sort()
        counts = Counter(place.topic_id for place in self._places)
        self.topics = {t.name: t._replace(message_count=counts[n]) for n, t in self._names.items()}

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Complete messages of these topics in recorded order, then what is wrong with the file, as an error."""
        wanted = {number: topic for number, topic in self._names.items() if topic.name in topics}
        lost = 0
        for place in self._places:
            if place.topic_id not in wanted:
                continue
            record = self._pages.record(place.row)
            if record is None:
                lost += 1
                continue
            topic = wanted[place.topic_id]
            data = decompressed(record[fields_of(record)[3].start :])
            yield RawMessage(topic.name, topic.type_name, place.log_time_ns, data)
        raise BagError(self._damage(lost))

    def close(self) -> None:
        """Let the file go."""
        self._pages.close()

    def _take(self, row: Row) -> None:
        """Keep what a row is: a message, a topic, or nothing of interest."""
        head = self._pages.head(row)
        fields = fields_of(head)
        if _is_message(fields) and fields[3].stop == row.size:
            self._places.append(_Place(fields[2].integer(head), row, fields[1].integer(head)))
        elif _may_be_topic(fields) and (record := self._pages.record(row)) is not None:
            name, type_name, serialization = (field.text(record) for field in fields[1:4])
            if serialization == SERIALIZATION:
                self._names[row.rowid] = Topic(name, type_name, 0)

    def _damage(self, lost: int) -> str:
        missing = self._pages.wanted - self._pages.count
        cut = f"{missing} of {self._pages.wanted} pages are missing (copy interrupted, disk full?)"
        incomplete = f"{lost} messages are incomplete" if lost else ""
        return "; ".join(filter(None, (cut if missing > 0 else "its pages are damaged", incomplete)))


def _is_message(fields: list[Field]) -> bool:
    """Columns of the table of messages: id (told by the row's number), topic id, time, data."""
    if len(fields) != 4:
        return False
    number, topic, time, data = fields
    return number.kind == NULL and topic.is_integer and time.is_integer and data.is_blob


def _may_be_topic(fields: list[Field]) -> bool:
    """Columns of the table of topics: id, name, type, serialisation; newer ones follow."""
    return len(fields) >= 4 and fields[0].kind == NULL and all(field.is_text for field in fields[1:4])
