"""Inputs for fuzzing: whole ones that were cut, bent, doubled and crossed, as hypothesis chooses and shrinks them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

NUMBERS = tuple(
    struct.pack(order + kind, value)
    for order in "<>"
    for kind, values in {
        "H": (0, 1, 0x7FFF, 0xFFFF),
        "I": (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 10**9, 30_000, 1 << 20),
        "Q": (0, 1 << 31, 1 << 62, (1 << 63) - 1, (1 << 64) - 1),
        "d": (float("nan"), float("inf"), -1e300),
    }.items()
    for value in values
)
"""Where counts wrap, and memory ends."""
_TEXTS = ("NaN", "1e999", "-1", "9" * 60, "[" * 200, "{", "*a", "&a", "<<: *a", "!!int ", "!!bool x", "\ufeff", "null")
_BYTES = (b"\xff\xd9", b"\xff\xd8", b"\xff\xc0", b"\xff\xda", b"IHDR", b"IEND", b"\0" * 64, b"\x28\xb5\x2f\xfd")
WORDS = (*(text.encode() for text in _TEXTS), *_BYTES)

Edit = tuple[str, int, int, bytes]


def edits() -> st.SearchStrategy[list[Edit]]:
    """What is done to an input, one after the other; places count modulo its length."""
    place = st.integers(0, 1 << 16)
    pieces = st.one_of(st.sampled_from(NUMBERS + WORDS), st.binary(min_size=1, max_size=8))
    kind = st.sampled_from(("overwrite", "overwrite", "insert", "flip", "cut", "remove", "repeat"))
    return st.lists(st.tuples(kind, place, place, pieces), max_size=12)


def inputs(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Seeds with edits, two of them crossed, and now and then bytes of no meaning."""
    bent = st.builds(bend, st.sampled_from(seeds), edits())
    crossed = st.builds(
        lambda a, b, share: a[: len(a) * share // 100] + b[len(b) * share // 100 :], bent, bent, st.integers(0, 100)
    )
    return st.one_of(bent, bent, crossed, st.binary(max_size=300))


def bend(data: bytes, changes: Sequence[Edit]) -> bytes:
    """Apply edits."""
    for kind, place, size, piece in changes:
        at = place % (len(data) + 1)
        if kind == "overwrite":
            data = data[:at] + piece + data[at + len(piece) :]
        elif kind == "insert":
            data = data[:at] + piece + data[at:]
        elif kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << size % 8)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "remove":
            data = data[:at] + data[at + size % 64 :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + size % 64] * (1 + size % 17) + data[at:]
    return data[: 1 << 20]
