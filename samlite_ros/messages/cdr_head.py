"""The first fields of a serialised message, read before the rest is unpacked: who sent it, and how much there is."""

from __future__ import annotations

import struct

from samlite_ros.foreign.limits import NAME_CHARACTERS

_STAMP_BYTES = 8


class CdrHead:
    """Reads fields one after the other, as they stand in the message's definition.

    Args:
        data: A message as it comes over the wire (XCDR1).

    Raises:
        ValueError: It is too short, here and in every call.

    Source: OMG DDSI-RTPS, 10; CDR aligns each value to its size, from behind the four bytes of the encapsulation.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < 4:
            raise ValueError(f"{len(data)} bytes are no message")
        self._data, self._at = data, 4
        self._order = "<" if data[1] & 1 else ">"

    def skip_header(self) -> None:
        """std_msgs/Header."""
        self._at += _STAMP_BYTES
        self.text()

    def number(self) -> int:
        """uint32, also the length of a list."""
        self._at += -self._at % 4
        if self._at + 4 > len(self._data):
            raise ValueError(f"the message ends after {len(self._data)} bytes")
        (value,) = struct.unpack_from(f"{self._order}I", self._data, self._at)
        self._at += 4
        return int(value)

    def text(self) -> str:
        """string; a long one is cut one character behind what is taken."""
        length = self.number()
        if self._at + length > len(self._data):
            raise ValueError(f"a text of {length:,} bytes in a message of {len(self._data):,}")
        start, self._at = self._at, self._at + length
        shown = self._data[start : start + min(max(length - 1, 0), 4 * NAME_CHARACTERS + 4)]
        return shown.decode("utf-8", "replace")[: NAME_CHARACTERS + 1]
