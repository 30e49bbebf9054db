"""A bag as it is: its topics, its messages, and a list of what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from samlite_ros.bags.salvage.broken_sqlite import BrokenSqlite
from samlite_ros.bags.salvage.cut_mcap import CutMcap
from samlite_ros.bags.storage import PACKED_SUFFIX, STORAGE_SUFFIXES, RawMessage, Storage, Topic, WholeStorage, unpack
from samlite_ros.errors import BagError

SALVAGE: dict[str, Callable[[Path], Storage]] = {".mcap": CutMcap, ".db3": BrokenSqlite}
"""How a damaged storage file is read as far as it goes."""
AnyStorage = TypeVar("AnyStorage", bound=Storage)
MAX_FAULTS = 100
"""So many faults are kept in words; of the rest the number."""


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
        self._storages = self._open()
        self.detours = 0
        self.topics: dict[str, Topic] = {}
        for topic in (t for s in self._storages for t in s.topics.values()):
            known = self.topics.get(topic.name)
            count = topic.message_count + (known.message_count if known else 0)
            self.topics[topic.name] = topic._replace(message_count=count)

    @property
    def listing(self) -> str:
        """The topics that are there, in words, those with images first."""
        topics = sorted(self.topics.values(), key=lambda t: ("Image" not in t.type_name, t.name))
        words = [f"{t.name} ({t.type_name}, {t.message_count} messages)" for t in topics]
        return f"topics in this bag: {', '.join(words) or 'none'}"

    @property
    def faults(self) -> tuple[str, ...]:
        """What was found wrong with the bag so far, in words."""
        more = (f"and {self._more_faults} more",) if self._more_faults else ()
        return (*self._faults, *more)

    def add_fault(self, fault: str) -> None:
        """Note something that is wrong; the same words are kept once."""
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
                    yield message
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
            if not _is_storage(self.path):
                raise BagError(f"{self.path}: not a bag; expected a folder or a {' or '.join(STORAGE_SUFFIXES)} file")
            return self._open_files([self.path])
        if not (self.path / "metadata.yaml").exists():
            self.add_fault(f"{self.path}: metadata.yaml is missing (was the recorder killed?); reading its files")
            return self._open_files(_storage_files(self.path))
        try:
            storage = self._keep(WholeStorage(self.path))
        except Exception as error:  # damaged files fail in whichever library meets the damage
            self.add_fault(f"{self.path}: {_words(error)}")
            return self._open_files(_storage_files(self.path))
        # One by one, so that a message whose compressed bytes are damaged does not end the reading.
        return self._open_files(_storage_files(self.path)) if storage.packs_messages else [storage]

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
        journal = path.with_name(f"{path.name}-wal")
        if journal.exists() and journal.stat().st_size:
            self.add_fault(
                f"{journal.name} holds messages that never reached {path.name} (was the recorder killed?): "
                f"merge it: sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'"
            )
        if path.suffix == PACKED_SUFFIX:
            folder, path = unpack(path)
            self._opened.enter_context(folder)
        try:
            return self._keep(WholeStorage(path))
        except Exception as error:
            if path.suffix not in SALVAGE:
                raise
            storage = self._keep(SALVAGE[path.suffix](path))
            self.add_fault(f"{path.name}: {_words(error)}")
            return storage

    def _go_around(self, damaged: Storage) -> None:
        """From the next reading on: a folder file by file, and a file as far as it can be salvaged."""
        if not isinstance(damaged, WholeStorage) or damaged not in self._storages:
            return
        place = self._storages.index(damaged)
        with suppress(Exception):  # then it stays as it is
            files = _storage_files(damaged.path)
            self._storages[place : place + 1] = (
                self._open_files(files) if files else [self._keep(SALVAGE[damaged.path.suffix](damaged.path))]
            )
            self.detours += 1

    def _keep(self, storage: AnyStorage) -> AnyStorage:
        """Close it with the reader."""
        self._opened.callback(storage.close)
        return storage


def _storage_files(folder: Path) -> list[Path]:
    """Storage files of a bag folder, in the order of their numbers; none where it is a file."""
    files = [p for p in folder.iterdir() if _is_storage(p)] if folder.is_dir() else []
    return sorted(files, key=lambda p: ([int(n) for n in re.findall(r"\d+", p.stem)], p.name))


def _is_storage(path: Path) -> bool:
    return path.name.removesuffix(PACKED_SUFFIX).endswith(STORAGE_SUFFIXES)


def _other_files(path: Path) -> str:
    """What lies in a folder that holds no storage file: '' where it holds one."""
    if not path.is_dir() or _storage_files(path):
        return ""
    names = ", ".join(sorted(p.name for p in path.iterdir())) or "nothing"
    return f"; no {' or '.join(STORAGE_SUFFIXES)} file in the folder, but {names}"


def _words(error: Exception) -> str:
    """An error in words; some carry none."""
    return str(error) or type(error).__name__
