"""What one reading of a bag tells before its frames are read: the order of its images, from their headers.

Messages lie in the order in which they were recorded, frames are answered in the order of their stamps, and no storage
knows stamps: only the messages themselves do. How far one may come too late nothing limits either, so that a window
would have to hold as much of every bag as the worst needs. Hence all headers are read before the first frame is; of
the bag's other messages, those that are wanted are kept from the same reading.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage
from samlite_ros.errors import BagError, StampError
from samlite_ros.foreign.stamps import ns_of
from samlite_ros.types import NO_STAMP


class Entry(NamedTuple):
    """Where one message stands in stamp order: sorts by stamp, then topic, then place in the recording."""

    stamp_ns: int
    topic: str
    place: int


class ImageClock(NamedTuple):
    """Turns times of recording into stamps: those of the images recorded last. Both lists are sorted together [ns]."""

    log_times_ns: list[int]
    stamps_ns: list[int]

    def at(self, log_time_ns: int) -> int:
        """Just after the image recorded before; before the first image its own stamp."""
        place = bisect_right(self.log_times_ns, log_time_ns) - 1
        return self.stamps_ns[place] + 1 if place >= 0 else self.stamps_ns[0]


class BagIndex(NamedTuple):
    """What is known of a bag before its frames are read.

    Args:
        entries: The images in stamp order; those without a stamp and repetitions of one are left out.
        clock: Which image was recorded when.
        others: The messages of other topics that were asked for, in recorded order.
    """

    entries: tuple[Entry, ...]
    clock: ImageClock
    others: tuple[RawMessage, ...]


def index_bag(reader: BagReader, topics: Sequence[str], others: Collection[str] = ()) -> BagIndex:
    """Read a bag once for the order in which to hand out its images.

    Args:
        reader: The bag; gets a fault for each kind of disorder.
        topics: Topics of images.
        others: Topics whose messages are few, and kept whole.

    Raises:
        BagError: No image holds a stamp.
    """
    reading = _read_bag(reader, topics, others)
    known = 0
    while known != reader.detours:  # met damage, so that more can be read now
        known = reader.detours
        reading = _read_bag(reader, topics, others)
    if not reading.entries:
        raise BagError(f"{reader.path}: no image of {', '.join(topics)} has a stamp in its header")
    _note_disorder(reader, reading.counts)
    times = sorted(reading.times_ns)
    clock = ImageClock([log for log, _ in times], [stamp for _, stamp in times])
    return BagIndex(tuple(sorted(reading.entries.values())), clock, tuple(reading.others))


class _Reading:
    """What is gathered while a bag is read.

    Attributes:
        entries: By topic and stamp, in recorded order.
        times_ns: Of each image with a stamp when it was recorded, and the stamp [ns].
        others: Messages that are no images.
        counts: How many messages are not as they should be.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, int], Entry] = {}
        self.times_ns: list[tuple[int, int]] = []
        self.others: list[RawMessage] = []
        self.counts: Counter[str] = Counter()
        self._newest: dict[str, int] = {}

    def add_image(self, message: RawMessage) -> None:
        """The next image."""
        place = self.counts["total"]
        self.counts["total"] += 1
        try:
            stamp = frame_stamp_ns(message)
        except StampError:
            self.counts["impossible"] += 1
            return
        if stamp is not None:
            self.times_ns.append((message.log_time_ns, stamp))
        if stamp is None or stamp <= NO_STAMP:
            self.counts["damaged"] += 1
            return
        newest = self._newest.get(message.topic, stamp)
        self.counts["unstamped"] += read_stamp_ns(message.data) == NO_STAMP
        self.counts["out_of_order"] += stamp < newest
        self.counts["repeated"] += (message.topic, stamp) in self.entries
        self._newest[message.topic] = max(stamp, newest)
        self.entries.setdefault((message.topic, stamp), Entry(stamp, message.topic, place))


def _read_bag(reader: BagReader, topics: Sequence[str], others: Collection[str]) -> _Reading:
    reading = _Reading()
    for message in reader.messages({*topics, *others}):
        if message.topic in topics:
            reading.add_image(message)
        else:
            reading.others.append(message)
    return reading


def _note_disorder(reader: BagReader, counts: Counter[str]) -> None:
    words = {
        "out_of_order": "were recorded after one with a newer stamp; they are answered in the order of their stamps",
        "repeated": "have the stamp of another; only the first of each is answered",
        "impossible": "have a stamp that is none: before 0, beyond 2038, or of a second and more of nanoseconds; "
        "they are left out",
        "damaged": "are damaged or too short to hold a stamp; they are left out",
        "unstamped": "have no stamp in their header: the time of their recording stands in for it, as in the node",
    }
    for kind, text in words.items():
        if counts[kind]:
            reader.add_fault(f"{reader.path}: {counts[kind]} of {counts['total']} image messages {text}")


def read_stamp_ns(data: bytes) -> int | None:
    """Stamp [ns] of a message that begins with a header, without decoding it; None = too short.

    Raises:
        StampError: It is none.

    Source: CDR encapsulation (4 bytes, the second says the byte order), then Header.stamp (int32, uint32).
    """
    if len(data) < 12:
        return None
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return ns_of(sec, nanosec)


def frame_stamp_ns(message: RawMessage) -> int | None:
    """Stamp [ns] of an image message: its header's, or where that is not set the time of its recording.

    The node does the same with the time of arrival. None = the message is too short to tell.

    Raises:
        StampError: It is none.
    """
    stamp = read_stamp_ns(message.data)
    return message.log_time_ns if stamp == NO_STAMP else stamp
