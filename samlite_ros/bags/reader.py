"""A bag as it is: its topics, its messages, and a list of what is wrong with it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from samlite_ros.bags.folder import (
    METADATA_NAME,
    FolderNotes,
    is_storage,
    numbers_left_out,
    read_notes,
    storage_files,
)
from samlite_ros.bags.salvage.broken_sqlite import BrokenSqlite
from samlite_ros.bags.salvage.cut_mcap import CutMcap
from samlite_ros.bags.storage import PACKED_SUFFIX, STORAGE_SUFFIXES, RawMessage, Storage, Topic, WholeStorage
from samlite_ros.bags.unpacking import unpack_file
from samlite_ros.errors import BagError
from samlite_ros.foreign.files import check_regular
from samlite_ros.foreign.stamps import END_NS, NS_PER_S
from samlite_ros.foreign.words import named, one_line

SALVAGE: dict[str, Callable[[Path], Storage]] = {".mcap": CutMcap, ".db3": BrokenSqlite}
"""How a storage file is read whose index is missing or does not fit: all of it that is whole."""
AnyStorage = TypeVar("AnyStorage", bound=Storage)
MAX_FAULTS = 100
"""So many faults are kept in words; of the rest the number."""
LONGEST_FAULT, MOST_LISTED = 1000, 50
"""Characters of a fault, and topics in a listing, that are told."""


class BagReader:
    """Reads a bag: a folder or a single .mcap or .db3 file. A context manager.

    Args:
        path: The bag.

    Attributes:
        detours: Grows whenever a reading met damage that the next one will go around.

    Raises:
        BagError: Nothing can be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._faults: dict[str, None] = {}
        self._more_faults = 0
        self._opened = ExitStack()
        self._notes = read_notes(self.path) if self.path.is_dir() else FolderNotes()
        self._storages = self._open()
        self.detours = 0
        self.topics: dict[str, Topic] = {}
        for topic in (t for s in self._storages for t in s.topics.values()):
            known = self.topics.get(topic.name)
            count = topic.message_count + (known.message_count if known else 0)
            type_hash = topic.type_hash or self._notes.type_hashes.get(topic.name, "")
            self.topics[topic.name] = topic._replace(message_count=count, type_hash=type_hash)

    @property
    def listing(self) -> str:
        """The topics that are there, in words, those with images first."""
        return self.list_of(sorted(self.topics, key=lambda name: ("Image" not in self.topics[name].type_name, name)))

    def list_of(self, names: Sequence[str]) -> str:
        """Some of the topics that are there, in words, and how many others."""
        topics = [self.topics[name] for name in names][:MOST_LISTED]
        words = [f"{named(t.name)} ({named(t.type_name)}, {t.message_count} messages)" for t in topics]
        others = len(self.topics) - len(topics)
        more = f", and {others} of other types" if others else ""
        return f"topics in this bag: {', '.join(words) or 'none'}{more}"

    @property
    def faults(self) -> tuple[str, ...]:
        """What was found wrong with the bag so far, in words."""
        more = (f"and {self._more_faults} more",) if self._more_faults else ()
        return (*self._faults, *more)

    def add_fault(self, fault: str) -> None:
        """Note something that is wrong; the same words are kept once."""
        fault = one_line(fault, LONGEST_FAULT)
        if fault not in self._faults and len(self._faults) == MAX_FAULTS:
            self._more_faults += 1
        else:
            self._faults[fault] = None

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order.

        What is damaged is left out, as a fault. Where that shows only now, the rest of the storage is left out too, and
        `detours` grows: the next reading goes around the damage.
        """
        for storage in tuple(self._storages):
            count = 0
            try:
                for message in storage.messages(topics):
                    count += 1
                    if 0 <= message.log_time_ns < END_NS:
                        if message.damage:
                            self.add_fault(f"{self.path}: {message.topic}: {message.damage}")
                        yield message
                    else:
                        when = f"{message.log_time_ns / NS_PER_S:.9g} s"
                        self.add_fault(f"{self.path}: {message.topic}: recorded at {when}, which is no time: left out")
            except BagError as error:  # around the damage to the end
                self.add_fault(f"{self.path}: {count} messages can be read: {error}")
            except Exception as error:  # damaged files fail in whichever library meets the damage
                self.add_fault(f"{self.path}: damaged after {count} messages: {_words(error)}")
                self._go_around(storage)

    def close(self) -> None:
        """Close the files."""
        self._opened.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> list[Storage]:
        if not self.path.exists():
            raise BagError(f"{self.path}: no such bag")
        if self.path.suffix == ".bag":
            raise BagError(f"{self.path}: a ROS 1 bag; convert it first: rosbags-convert --src {self.path} --dst NEW")
        if not self.path.is_dir():
            if not is_storage(self.path):
                raise BagError(f"{self.path}: not a bag; expected a folder or a {' or '.join(STORAGE_SUFFIXES)} file")
            return self._open_files([self.path])
        files = storage_files(self.path, self._notes.files)
        for name in numbers_left_out(files) if not self._notes.files else ():
            self.add_fault(f"{self.path}: {name} is missing, by the numbers of the other files")
        there = {path.name.removesuffix(PACKED_SUFFIX) for path in files}
        for name in self._notes.files:
            if name.removesuffix(PACKED_SUFFIX) not in there:
                self.add_fault(f"{self.path}: {name} is missing, which {METADATA_NAME} lists")
        return self._open_files(files)

    def _open_files(self, files: Iterable[Path]) -> list[Storage]:
        storages = []
        for path in files:
            try:
                storages.append(self._open_file(path))
            except Exception as error:
                self.add_fault(f"{path}: cannot be read: {_words(error)}")
        if not storages:
            self.close()
            raise BagError(f"nothing can be read: {'; '.join(self.faults)}{_other_files(self.path)}")
        return storages

    def _open_file(self, path: Path) -> Storage:
        """One storage file, whole or damaged."""
        check_regular(path)
        journal = path.with_name(f"{path.name}-wal")
        if journal.exists() and journal.stat().st_size:
            self.add_fault(
                f"{journal.name} holds messages that never reached {path.name} (was the recorder killed?): "
                f"merge it: sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'"
            )
        if path.suffix == PACKED_SUFFIX:
            folder, path, cut_at = unpack_file(path)
            self._opened.enter_context(folder)
            if cut_at:
                self.add_fault(f"{self.path}: {cut_at}")
        try:
            return self._keep(WholeStorage(path))
        except Exception:  # of many kinds; what is missing, if anything is, shows when the file itself is read
            return self._keep(SALVAGE[path.suffix](path))

    def _go_around(self, damaged: Storage) -> None:
        """From the next reading on: the file as far as it can be salvaged."""
        if not isinstance(damaged, WholeStorage) or damaged not in self._storages:
            return
        with suppress(Exception):  # then it stays as it is
            salvage = self._keep(SALVAGE[damaged.path.suffix](damaged.path))
            self._storages[self._storages.index(damaged)] = salvage
            self.detours += 1

    def _keep(self, storage: AnyStorage) -> AnyStorage:
        """Close it with the reader."""
        self._opened.callback(storage.close)
        return storage


def _other_files(path: Path) -> str:
    """What lies in a folder that holds no storage file: '' where it holds one."""
    if not path.is_dir() or storage_files(path):
        return ""
    names = ", ".join(sorted(p.name for p in path.iterdir())) or "nothing"
    return f"; no {' or '.join(STORAGE_SUFFIXES)} file in the folder, but {names}"


def _words(error: Exception) -> str:
    """An error in words; some carry none, or those of a library's innards."""
    if isinstance(error, struct.error):
        return "a record is shorter than it must be: overwritten, or cut off"
    return str(error) or type(error).__name__
