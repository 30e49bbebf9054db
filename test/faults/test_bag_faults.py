"""Bags that grow, run, claim or wait: each is refused, or read around, within memory and time, and it is told."""

import io
import os
import re
import sqlite3
import struct
from contextlib import closing, suppress

import lz4.frame
import pytest
import zstandard
from bag_targets import START_NS, bag
from bounds import bounds, refusal

from samlite_ros.bags.index import index_bag
from samlite_ros.bags.message_types import IMAGE, QUERY_SET, SEGMENTATION, STRING, TEXT_QUERY, deserialize
from samlite_ros.bags.reader import BagReader, _words
from samlite_ros.bags.unpacking import unpacked
from samlite_ros.errors import BagError

MIB = 1 << 20
ZEROS = bytes(64 * MIB)


def streamed(data: bytes, times: int, size: int = -1) -> bytes:
    """zstd that does not say how much it becomes, or that says it."""
    out = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(out, size=size, closefd=False) as writer:
        for _ in range(times):
            writer.write(data)
    return out.getvalue()


def claiming(size: int) -> bytes:
    """zstd whose header says that it becomes so much."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + zstandard.compress(b"x" * 100)[6:]


PACKED = {
    "a message that grows ten-thousand-fold": (streamed(ZEROS, 9, 9 * 64 * MIB), "become more than"),
    "one that does not say so": (streamed(ZEROS, 9), "become more than"),
    "one that says 2^60": (claiming(1 << 60), "become more than"),
    "one that says less than it is": (claiming(5), "damaged"),
    "one that is cut": (zstandard.compress(os.urandom(1000))[:500], "damaged"),
    "a window of 2 GiB": (b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(20), "damaged"),
    "a dictionary that nobody has": (b"\x28\xb5\x2f\xfd\x23\x01\x02\x03\x04\x64" + bytes(20), "damaged"),
    "zstd's first bytes alone": (b"\x28\xb5\x2f\xfd", "damaged"),
    "lz4 that grows 255-fold": (lz4.frame.compress(ZEROS)[:-8] * 1 + b"", "damaged|become"),
    "lz4 that says 2^62": (b"\x04\x22\x4d\x18\x6c\x40" + struct.pack("<Q", 1 << 62) + b"\0" * 8, "damaged"),
    "lz4 that is cut": (lz4.frame.compress(os.urandom(1000))[:500], "damaged"),
    "lz4's first bytes alone": (b"\x04\x22\x4d\x18", "damaged"),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_compressed_message_is_unpacked_within_limits(name):
    data, words = PACKED[name]
    limit = 16 * MIB if "lz4" in name else 512 * MIB
    with bounds(memory_mib=1300):
        assert re.search(words, refusal(lambda: unpacked(data, limit), BagError, memory_mib=1300))


def test_compressed_messages_within_the_limit_are_whole():
    whole = os.urandom(5 * MIB // 2)
    for data in (zstandard.compress(whole), streamed(whole[: MIB // 3], 3), lz4.frame.compress(whole)):
        assert unpacked(data)[: MIB // 3] == whole[: MIB // 3]


def record(opcode: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<BQ", opcode, len(content) if length is None else length) + content


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


HEADER = b"\x89MCAP0\r\n" + record(1, text("ros2") + text("test"))
CHANNEL = record(3, struct.pack("<H", 1) + text(STRING) + text("ros2msg") + text("string data\n")) + record(
    4, struct.pack("<HH", 1, 1) + text("/chatter") + text("cdr") + text(b"")
)


def message(log_time_ns: int = START_NS) -> bytes:
    return record(5, struct.pack("<HIQQ", 1, 0, log_time_ns, 0) + b"\0\1\0\0\2\0\0\0a\0")


def chunk(packed: bytes, size: int, compression: str = "zstd") -> bytes:
    head = struct.pack("<QQQI", START_NS, START_NS, size, 0) + text(compression)
    return record(6, head + struct.pack("<Q", len(packed)) + packed)


WHOLE = CHANNEL + message()
LONG_QOS = text("offered_qos_profiles") + text("- a" * MIB)
MCAPS = {
    "a chunk that becomes 10 GB": (WHOLE + chunk(streamed(ZEROS, 10), 640 * MIB), "ends in the middle|damaged"),
    "a chunk that says 2^60": (chunk(zstandard.compress(WHOLE), 1 << 60), None),
    "a chunk that says less": (WHOLE + chunk(streamed(ZEROS, 10), 5), "ends in the middle|damaged"),
    "a chunk of lz4 that grows": (chunk(lz4.frame.compress(ZEROS[: 8 * MIB]) * 9, 5, "lz4"), None),
    "a chunk of a codec that nobody knows": (chunk(WHOLE, len(WHOLE), "brotli" * 1000), None),
    "a record of 2^63 bytes": (CHANNEL + message() + record(5, b"", (1 << 63) - 1), "damaged|RecordLength|ends"),
    "a record of a gigabyte": (CHANNEL + message() + record(5, b"", 1 << 30), "damaged|RecordLength|ends|exceed|Limit"),
    "a channel of 32 MB": (record(4, struct.pack("<HH", 1, 1) + text("/x" * 8 * MIB)) + WHOLE, None),
    "QoS of a megabyte": (
        record(3, struct.pack("<H", 1) + text(STRING) + text("ros2msg") + text(""))
        + record(
            4,
            struct.pack("<HH", 1, 1) + text("/c") + text("cdr") + text(LONG_QOS),
        )
        + message(),
        None,
    ),
    "a message before 1970 and 2^63 later": (CHANNEL + message((1 << 63) + 5) + message(), "recorded at"),
    "a message in 2100": (CHANNEL + message(4_102_444_800_000_000_000) + message(), "recorded at 4.1024448e"),
    "a message of a channel that there is not": (message() + WHOLE, None),
    "a topic with control characters": (
        record(3, struct.pack("<H", 1) + text(STRING) + text("ros2msg") + text(""))
        + record(4, struct.pack("<HH", 1, 1) + text("/\x1b[2J\n" * 1000) + text("cdr") + text(b""))
        + message(),
        None,
    ),
}


@pytest.mark.parametrize("name", MCAPS)
def test_an_mcap_file_is_read_as_far_as_it_goes_within_limits(tmp_path, name):
    records, words = MCAPS[name]
    path = tmp_path / "bag.mcap"
    path.write_bytes(HEADER + records)
    told = ""
    with bounds(memory_mib=1400, seconds=8):
        try:
            with BagReader(path) as reader:
                count = len(list(reader.messages(reader.topics)))
                told = " ".join((*reader.faults, reader.listing))
                assert count <= 1
        except BagError as error:
            told = str(error)
    assert words is None or re.search(words, told), told
    assert "\x1b" not in told and len(told) < 3000


def edited(path, script: str):
    path.write_bytes(bag("sqlite3", False))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.commit()
    return path


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
SQLITES = {
    "messages that are computed without end": (
        f"DROP TABLE messages; CREATE VIEW messages AS {ENDLESS} "
        "SELECT i AS id, 1 AS topic_id, i AS timestamp, zeroblob(1000000) AS data FROM n;",
        "nothing can be read",
    ),
    "topics that are computed": (
        "DROP TABLE topics; CREATE VIEW topics AS SELECT 1 AS id, hex(zeroblob(9)) AS name, 't' AS type, "
        "'cdr' AS serialization_format, '' AS offered_qos_profiles, '' AS type_description_hash;",
        "no plain table",
    ),
    "a computed column": (
        "DROP TABLE messages; CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, "
        "data BLOB AS (zeroblob(100000000))); INSERT INTO messages(topic_id, timestamp) VALUES (1, 5);",
        "no plain table",
    ),
    "a schema that is computed": (
        f"DROP TABLE schema; CREATE VIEW schema AS {ENDLESS} SELECT i AS schema_version FROM n ORDER BY i DESC;",
        "no plain table",
    ),
    "QoS of a megabyte": ("UPDATE topics SET offered_qos_profiles = hex(zeroblob(600000));", None),
    "data that are texts": ("UPDATE messages SET data = 'text' || id;", None),
    "data that are nothing": (
        "DROP TABLE messages; CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data);"
        "INSERT INTO messages VALUES (1, 1, 5, NULL);",
        None,
    ),
    "times that are texts": ("UPDATE messages SET timestamp = 'soon' WHERE id > 2;", None),
    "times before 0": ("UPDATE messages SET timestamp = -5 WHERE id = 1;", "recorded at -5e-09 s"),
    "times beyond 2038": ("UPDATE messages SET timestamp = 9000000000000000000 WHERE id = 1;", "recorded at 9e"),
    "names that are numbers": ("UPDATE topics SET name = zeroblob(5), type = 7;", None),
    "names that are all the same": ("UPDATE topics SET name = '/image';", None),
    "a type of a megabyte": ("UPDATE topics SET type = hex(zeroblob(500000));", None),
    "a topic of no messages and a message of no topic": ("UPDATE messages SET topic_id = topic_id + 1;", None),
}  # fmt: skip


@pytest.mark.parametrize("name", SQLITES)
def test_a_sqlite_bag_is_read_and_not_run(tmp_path, name):
    script, words = SQLITES[name]
    path = edited(tmp_path / "bag.db3", script)
    told = ""
    with bounds(memory_mib=400, seconds=5):
        try:
            with BagReader(path) as reader:
                list(reader.messages(reader.topics))
                with suppress(BagError):
                    index_bag(reader, [name for name, t in reader.topics.items() if t.type_name == IMAGE])
                told = " ".join((*reader.faults, reader.listing))
        except BagError as error:
            told = str(error)
    assert words is None or words in told, told
    assert len(told) < 4000


@pytest.mark.parametrize("suffix", [".db3", ".mcap"])
def test_a_packed_bag_that_grows_is_read_as_far_as_is_taken(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("samlite_ros.bags.unpacking.PACKED_FREE_BYTES", 10 * MIB)
    monkeypatch.setattr("samlite_ros.bags.unpacking.PACKED_GROWTH", 10)
    whole = bag("sqlite3" if suffix == ".db3" else "mcap", False)
    path = tmp_path / f"bag{suffix}.zstd"
    path.write_bytes(zstandard.compress(whole + ZEROS))
    with bounds(memory_mib=200, seconds=5):
        try:
            with BagReader(path) as reader:
                told = " ".join(reader.faults)
        except BagError as error:
            told = str(error)
    assert "only these are read" in told


FOLDERS = {
    "a pipe for a storage file": lambda folder: os.mkfifo(folder / "bag.mcap"),
    "a device for a storage file": lambda folder: (folder / "bag.db3").symlink_to("/dev/zero"),
    "a folder for a storage file": lambda folder: (folder / "bag.mcap").mkdir(),
    "nothing": lambda folder: None,
    "metadata that double themselves": lambda folder: (folder / "metadata.yaml").write_text(
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    ),
    "a pipe for metadata": lambda folder: os.mkfifo(folder / "metadata.yaml"),
    "metadata that name files elsewhere": lambda folder: (folder / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {relative_file_paths: [../../etc/passwd, /etc/shadow]}"
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_no_bag_is_refused_and_not_waited_for(tmp_path, name):
    FOLDERS[name](tmp_path)
    assert "nothing can be read" in refusal(lambda: BagReader(tmp_path), BagError, memory_mib=128)


HUGE = b"\xff\xff\xff\x7f"
MESSAGES = {
    "an image whose data are longer than the message": (
        IMAGE,
        b"\0\1\0\0" + bytes(8) + b"\1\0\0\0\0" + bytes(11) + b"\5\0\0\0rgb8\0" + bytes(7) + HUGE,
    ),
    "a query with 2^31 cameras": (TEXT_QUERY, b"\0\1\0\0" + bytes(60) + HUGE + bytes(20)),
    "a set of 2^31 queries": (QUERY_SET, b"\0\1\0\0" + bytes(8) + b"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0" + HUGE),
    "an answer of 2^31 results": (SEGMENTATION, b"\0\1\0\0" + bytes(60) + HUGE),
    "a text of 2^31 letters": (STRING, b"\0\1\0\0" + HUGE + b"abc"),
    "a text that is no Unicode": (STRING, b"\0\1\0\0\4\0\0\0\xff\xfe\xfd\0"),
    "an encoding of bytes that nobody knows": (STRING, b"\x77\x77\0\0\2\0\0\0a\0"),
    "no bytes": (IMAGE, b""),
    "three bytes": (IMAGE, b"\0\1\0"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_whose_lengths_lie_is_refused_before_memory_is_taken(name):
    kind, data = MESSAGES[name]
    try:
        assert kind in refusal(lambda: deserialize(data, kind), BagError, memory_mib=64)
    except AssertionError as error:
        assert "not refused" in str(error)


def test_zeros_are_not_walked_over(tmp_path):
    path = tmp_path / "bag.mcap"
    with path.open("wb") as file:
        file.truncate(1024 * MIB)  # sparse; a record of no opcode and no length every nine bytes
    assert "mcap file" in refusal(lambda: BagReader(path), BagError)


def test_a_record_that_is_too_short_is_told_in_words():
    assert _words(struct.error("unpack requires a buffer of 8 bytes")).startswith("a record is shorter than it must be")
