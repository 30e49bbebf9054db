"""A sqlite3 bag file that may have damage (interrupted copy, full disk, broken page): SQLite reads what it can."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from samlite_ros.bags.sqlite_layout import check_tables
from samlite_ros.bags.storage import RawMessage, Topic, raw_message, ros_type
from samlite_ros.errors import BagError


class _Row(NamedTuple):
    """Where a message is; sorts as it was recorded."""

    log_time_ns: int
    row_id: int
    topic_id: int


class BrokenSqlite:
    """The messages of a file that SQLite reaches from either end of their table.

    Raises:
        BagError: SQLite finds no topic in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            self._names = self._read_topics()
        except sqlite3.Error as error:
            self.close()
            raise BagError(f"{path}: SQLite cannot read its topics ({error}); {self._remedy}") from error
        except BagError:
            self.close()
            raise
        self._damaged = False
        self._rows = sorted({*self._rows_from_end("ASC"), *self._rows_from_end("DESC")})
        counts = Counter(row.topic_id for row in self._rows)
        self.topics = {t.name: t._replace(message_count=counts[n]) for n, t in self._names.items()}

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order, then what is missing in the file, as an error."""
        lost = 0
        for row in self._rows:
            topic = self._names.get(row.topic_id)
            if topic is None or topic.name not in topics:
                continue
            try:
                query = self._connection.execute("SELECT data FROM messages WHERE id = ?", (row.row_id,))
                (data,) = query.fetchone()
                if not isinstance(data, bytes):
                    raise sqlite3.DataError("no bytes")
            except sqlite3.Error:
                lost += 1
                continue
            yield raw_message(topic.name, topic.type_name, row.log_time_ns, data)
        if not lost and not self._damaged:
            return
        incomplete = f"{lost} messages are incomplete; " if lost else ""
        raise BagError(f"the file is cut or damaged (copy interrupted, disk full?); {incomplete}{self._remedy}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def _remedy(self) -> str:
        """What to type; some distributions build a sqlite3 that cannot."""
        name = self._path.name
        return f"sqlite.org's shell may find more: sqlite3 {name} .recover | sqlite3 recovered_{name}"

    def _read_topics(self) -> dict[int, Topic]:
        """By their numbers.

        Source: btree.c, lockBtree: a file that is shorter than its header says is read in this mode only.
        """
        self._connection.execute("PRAGMA writable_schema = ON")
        check_tables(self._connection)
        rows = self._connection.execute("SELECT id, name, type, serialization_format FROM topics")
        return {  # a column may hold anything, whatever its table says
            n: Topic(name, ros_type(type_name, str(form)), 0)
            for n, name, type_name, form in rows
            if isinstance(name, str) and isinstance(type_name, str)
        }

    def _rows_from_end(self, order: str) -> list[_Row]:
        """From one end of the table to the first damage."""
        rows: list[_Row] = []
        try:
            query = f"SELECT timestamp, id, topic_id FROM messages NOT INDEXED ORDER BY id {order}"
            for row in self._connection.execute(query):
                if all(isinstance(value, int) for value in row):
                    rows.append(_Row(*row))
        except sqlite3.Error:
            self._damaged = True
        return rows
