"""Writes a bag that `ros2 bag` and Foxglove read: with schemas, offered QoS and metadata.

The same messages give the same bytes, whatever the folder is called. The bag is closed properly when its writer is left
by an error, so that what was written before counts.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from samlite_ros.bags.message_types import serialize, typestore
from samlite_ros.bags.storage import STORAGE_SUFFIXES
from samlite_ros.errors import BagError
from samlite_ros.foreign.files import writing

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
METADATA_VERSION: Literal[8] = 8  # the newest whose QoS text Humble reads too
FILES_NAME = "messages"
"""Stem of the storage file. It is part of the bytes, so it does not follow the folder's name."""


class BagWriter:
    """Writes messages to a new bag. A context manager; not to be used from two threads at once.

    Args:
        folder: Where the bag goes. It may exist, but holds no bag yet.
        storage: 'mcap' or 'sqlite3'.
        compressed: zstd, by chunk in mcap and by message in sqlite3.

    Raises:
        BagError: The folder holds a bag, or cannot be written.
    """

    def __init__(self, folder: Path | str, storage: str = "mcap", compressed: bool = False) -> None:
        self.folder = Path(folder)
        self._unfinished = self.folder / FILES_NAME
        check_free(self.folder)
        plugin = STORAGES[storage]
        self._writer = Writer(self._unfinished, version=METADATA_VERSION, storage_plugin=plugin)
        if compressed:
            mode = CompressionMode.STORAGE if plugin is StoragePlugin.MCAP else CompressionMode.MESSAGE
            self._writer.set_compression(mode, CompressionFormat.ZSTD)
        try:
            with _writing(self.folder):
                self._writer.open()
        except OSError as error:
            shutil.rmtree(self._unfinished, ignore_errors=True)
            raise BagError(str(error)) from error
        self._connections: dict[str, Connection] = {}

    def add_topic(self, topic: str, type_name: str, latched: bool = False) -> None:
        """Declare a topic; `latched` offers transient local durability."""
        with _writing(self.folder):
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=typestore(), offered_qos_profiles=[_offered_qos(latched)]
            )

    def write(self, topic: str, log_time_ns: int, message: Any) -> None:
        """Write a message of `rosbags`; its topic is declared."""
        self.write_raw(topic, log_time_ns, serialize(message))

    def write_raw(self, topic: str, log_time_ns: int, data: bytes) -> None:
        """Write a message that is serialised already."""
        with _writing(self.folder):
            self._writer.write(self._connections[topic], log_time_ns, data)

    def close(self) -> None:
        """Write the index and the metadata; the bag is whole then."""
        try:
            with _writing(self.folder):
                self._writer.close()
        finally:  # also where the disk is full: what was written is found where one looks for it
            for path in self._unfinished.iterdir():
                shutil.move(path, self.folder / path.name)
            self._unfinished.rmdir()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What SQLite raises where the disk is full is an OSError as any other storage's, and names the folder."""
    with writing(folder):
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(f"SQLite: {error}") from error


def check_free(folder: Path) -> None:
    """Make sure that a bag can be written here.

    Raises:
        BagError: There is a bag already, or a file.
    """
    names = ("metadata.yaml", FILES_NAME, *(f"{FILES_NAME}{suffix}" for suffix in STORAGE_SUFFIXES))
    if folder.is_file() or any((folder / name).exists() for name in names):
        what = "is a file" if folder.is_file() else "holds a bag already"
        raise BagError(f"{folder} {what}: remove it or name another folder")


def _offered_qos(latched: bool) -> Qos:
    never = QosTime(9223372036, 854775807)  # what rmw writes for "infinite"
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 5,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        never,
        never,
        QosLiveliness.AUTOMATIC,
        never,
        False,
    )
