"""The rows in a SQLite file, page by page: also where the file is cut or its tree of pages is damaged.

Rows lie in the leaf pages of tables; what does not fit goes on in a chain of overflow pages.

Source: sqlite.org/fileformat2.html, sections 1.3 (header), 1.5 (overflow), 1.6 (pages), 2.1 (records).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samlite_ros.errors import BagError

MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
TABLE_LEAF = 0x0D
NULL, ZERO, ONE, FIRST_BLOB, FIRST_TEXT = 0, 8, 9, 12, 13
_NUMBER_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""Of a value, by its kind: NULL, integers, a double, the integers 0 and 1."""


class Row(NamedTuple):
    """Where a row's record lies: `kept` of its `size` bytes from `start` on, the others from an overflow page on."""

    rowid: int
    start: int
    size: int
    kept: int
    overflow_page: int


class Field(NamedTuple):
    """One value of a record: its kind (SQLite's serial type), and its bytes in the record."""

    kind: int
    start: int
    stop: int

    @property
    def is_integer(self) -> bool:
        """An integer, also the constants 0 and 1."""
        return 1 <= self.kind <= 6 or self.kind in (ZERO, ONE)

    @property
    def is_blob(self) -> bool:
        """Bytes."""
        return self.kind >= FIRST_BLOB and self.kind % 2 == 0

    @property
    def is_text(self) -> bool:
        """A text."""
        return self.kind >= FIRST_TEXT and self.kind % 2 == 1

    def integer(self, record: bytes) -> int:
        """Its value."""
        if self.kind in (ZERO, ONE):
            return self.kind - ZERO
        return int.from_bytes(record[self.start : self.stop], "big", signed=True)

    def text(self, record: bytes) -> str:
        """Its value; bytes that are no UTF-8 are replaced."""
        return record[self.start : self.stop].decode("utf-8", "replace")


class SqlitePages:
    """The pages of a SQLite file. Nothing but the page at hand is in memory.

    Args:
        path: The file; may end anywhere.

    Raises:
        BagError: It does not begin as a SQLite file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            header = stream.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
            raise BagError(f"{path}: not a sqlite3 file")
        self._data = np.memmap(path, np.uint8, "r")
        page_bytes = int.from_bytes(header[16:18], "big")
        self._page_bytes = 65536 if page_bytes == 1 else page_bytes
        if self._page_bytes < 512 or self._page_bytes & (self._page_bytes - 1):
            raise BagError(f"{path}: a sqlite3 file with pages of {page_bytes} bytes")
        self._usable = self._page_bytes - header[20]
        self.count = len(self._data) // self._page_bytes
        self.wanted = int.from_bytes(header[28:32], "big")

    def rows(self) -> Iterator[Row]:
        """The rows of all tables, in the order of the file; those in damaged places are left out."""
        whole = self._data[: self.count * self._page_bytes].reshape(self.count, self._page_bytes)
        for page in np.flatnonzero(whole[:, 0] == TABLE_LEAF):
            yield from self._rows_of(int(page) * self._page_bytes)

    def head(self, row: Row) -> bytes:
        """The bytes of a row that lie in its own page: at least its first few values."""
        return self._data[row.start : row.start + row.kept].tobytes()

    def record(self, row: Row) -> bytes | None:
        """All bytes of a row; None = some are missing."""
        parts, left, page = [self.head(row)], row.size - row.kept, row.overflow_page
        while left > 0:
            if not 1 <= page <= self.count:
                return None
            at = (page - 1) * self._page_bytes
            page = int.from_bytes(self._data[at : at + 4].tobytes(), "big")
            parts.append(self._data[at + 4 : at + 4 + min(left, self._usable - 4)].tobytes())
            left -= len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        """Let the file go."""
        del self._data

    def _rows_of(self, at: int) -> Iterator[Row]:
        page = self._data[at : at + self._page_bytes].tobytes()
        count = int.from_bytes(page[3:5], "big")
        for number in range(min(count, (self._usable - 8) // 2)):
            place = int.from_bytes(page[8 + 2 * number : 10 + 2 * number], "big")
            try:
                row = self._row_at(page, place, at)
            except IndexError:  # the cell points out of its page
                continue
            if row.start - at + row.kept <= self._usable and row.size <= len(self._data):
                yield row

    def _row_at(self, page: bytes, place: int, at: int) -> Row:
        size, place = _varint(page, place)
        rowid, place = _varint(page, place)
        kept = self._kept_of(size)
        chain = page[place + kept : place + kept + 4] if kept < size else b""
        return Row(rowid, at + place, size, kept, int.from_bytes(chain, "big"))

    def _kept_of(self, size: int) -> int:
        """How many bytes of a record lie in its own page."""
        most = self._usable - 35
        if size <= most:
            return size
        least = (self._usable - 12) * 32 // 255 - 23
        kept = least + (size - least) % (self._usable - 4)
        return kept if kept <= most else least


def fields_of(head: bytes) -> list[Field]:
    """The values of a record, from its first bytes; empty = these are not the first bytes of a record."""
    try:
        end, at = _varint(head, 0)
        kinds = []
        while at < end:
            kind, at = _varint(head, at)
            kinds.append(kind)
    except IndexError:
        return []
    fields = []
    for kind in kinds:
        size = _NUMBER_BYTES[kind] if kind < len(_NUMBER_BYTES) else max(kind - FIRST_BLOB, 0) // 2
        fields.append(Field(kind, end, end + size))
        end += size
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends.

    Raises:
        IndexError: It reaches beyond the data.
    """
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
