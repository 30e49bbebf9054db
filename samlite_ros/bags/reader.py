"""A bag as it is: its topics, its messages, and a list of what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from samlite_ros.bags.storage import STORAGE_SUFFIXES, CutMcap, RawMessage, Storage, Topic, WholeStorage
from samlite_ros.errors import BagError

MAX_FAULTS = 100
"""So many faults are kept in words; of the rest the number."""


class BagReader:
    """Reads a bag: a folder or a single .mcap or .db3 file. A context manager.

    Args:
        path: The bag.

    Raises:
        BagError: Nothing can be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._faults: dict[str, None] = {}
        self._more_faults = 0
        self._storages = self._open()
        self.topics: dict[str, Topic] = {}
        for topic in (t for s in self._storages for t in s.topics.values()):
            known = self.topics.get(topic.name)
            count = topic.message_count + (known.message_count if known else 0)
            self.topics[topic.name] = topic._replace(message_count=count)

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
        """Messages of these topics in recorded order; where a file is damaged its rest is left out, as a fault."""
        for storage in self._storages:
            count = 0
            try:
                for message in storage.messages(topics):
                    count += 1
                    yield message
            except Exception as error:  # damaged files fail in whichever library meets the damage
                self.add_fault(f"{self.path}: damaged after {count} messages: {_words(error)}")

    def close(self) -> None:
        """Close the files."""
        for storage in self._storages:
            storage.close()

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
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            self.add_fault(f"{self.path}: metadata.yaml is missing (was the recorder killed?); reading its files")
            return self._open_files(_storage_files(self.path))
        try:
            return [WholeStorage(self.path)]
        except Exception as error:  # damaged files fail in whichever library meets the damage
            self.add_fault(f"{self.path}: {_words(error)}")
            files = _storage_files(self.path) if self.path.is_dir() else [self.path]
            return self._open_files(files)

    def _open_files(self, files: Iterable[Path]) -> list[Storage]:
        storages = []
        for path in files:
            try:
                storages.append(_open_file(path))
            except Exception as error:
                self.add_fault(f"{path}: cannot be read: {_words(error)}")
        if not storages:
            raise BagError(f"nothing can be read: {'; '.join(self.faults)}{_other_files(self.path)}")
        return storages


def _open_file(path: Path) -> Storage:
    """One storage file, whole or cut."""
    try:
        return WholeStorage(path)
    except Exception:
        if path.suffix != ".mcap":
            raise
        return CutMcap(path)


def _storage_files(folder: Path) -> list[Path]:
    """Storage files of a bag, in the order of their numbers."""
    files = [p for p in folder.iterdir() if p.suffix in STORAGE_SUFFIXES]
    return sorted(files, key=lambda p: [int(n) for n in re.findall(r"\d+", p.stem)] or [0])


def _other_files(path: Path) -> str:
    """What lies in a folder that holds no storage file: '' where it holds one."""
    if not path.is_dir() or _storage_files(path):
        return ""
    names = ", ".join(sorted(p.name for p in path.iterdir())) or "nothing"
    return f"; no {' or '.join(STORAGE_SUFFIXES)} file in the folder, but {names}"


def _words(error: Exception) -> str:
    """An error in words; some carry none."""
    return str(error) or type(error).__name__
