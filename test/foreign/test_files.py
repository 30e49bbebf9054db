"""Files that are read: regular ones, or what a shell hands over, of a bounded size."""

import io
import os
import threading
from pathlib import Path

import pytest

from samlite_ros.foreign.files import make_folder, read_bounded, read_stream, write_text
from samlite_ros.foreign.json_file import read_json


def test_a_file_of_the_limit_is_read_and_a_larger_one_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_bounded(path, 100) == b"x" * 100
    with pytest.raises(OSError, match="has 100 bytes, at most 99"):
        read_bounded(path, 99)


def test_what_a_shell_hands_over_is_read_within_the_limit():
    for size, fits in ((5000, True), (2_000_000, False)):
        reading, writing = os.pipe()
        writer = threading.Thread(target=lambda w=writing, n=size: _feed(w, n))
        writer.start()
        if fits:
            assert len(read_bounded(Path(f"/dev/fd/{reading}"), 1 << 20)) == size
        else:
            with pytest.raises(OSError, match="at most 1,048,576"):
                read_bounded(Path(f"/dev/fd/{reading}"), 1 << 20)
        os.close(reading)
        writer.join()


def _feed(descriptor, size):
    try:
        with open(descriptor, "wb") as file:
            file.write(b"x" * size)
    except BrokenPipeError:
        pass


def test_json_with_a_byte_order_mark_and_in_utf_16(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_text('{"a": "é"}', encoding=encoding)
        assert read_json(tmp_path / "a.json", 1000) == {"a": "é"}


class Endless(io.RawIOBase):
    """A stream without an end, such as /dev/zero."""

    taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.taken += len(buffer)
        return len(buffer)


def test_a_stream_without_an_end_is_read_up_to_the_limit():
    stream = Endless()
    with pytest.raises(OSError, match="standard input has more bytes than are read, at most 4,194,304"):
        read_stream(io.BufferedReader(stream), "standard input", 4 << 20)
    assert stream.taken < 8 << 20


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda folder: write_text(Path("/dev/full"), "x"), "/dev/full cannot be written: No space left on device"),
        (lambda folder: write_text(folder, "x"), "cannot be written: Is a directory"),
        (lambda folder: write_text(folder / "no" / "file", "x"), "no/file cannot be written: No such file"),
        (lambda folder: make_folder(Path("/dev/null")), "/dev/null cannot be written: it is a file, expected a folder"),
        (lambda folder: make_folder(Path("/proc/x/y")), "/proc/x/y cannot be written: No such file"),
    ],
)
def test_what_cannot_be_written_is_named_with_the_reason(tmp_path, write, words):
    with pytest.raises(OSError, match=words):
        write(tmp_path)
