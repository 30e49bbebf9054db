"""Shared memory, buffers, disk, memory and clock: each made to fail."""

import fcntl
import shutil
from collections import namedtuple

import pytest

from samlite_ros.doctor import Level, machine

Usage = namedtuple("Usage", "total used free")
MIB = 1 << 20


def with_free(monkeypatch, mib):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, mib * MIB))


def test_shared_memory_that_is_small_or_not_there(tmp_path, monkeypatch):
    assert machine.check_shared_memory(tmp_path / "none")[0].level is Level.OK
    with_free(monkeypatch, 63)
    (finding,) = machine.check_shared_memory(tmp_path)
    assert finding.level is Level.WARN
    assert "--shm-size" in finding.advice


@pytest.mark.parametrize("name", ["fastrtps_0af68faea5ccfe49", "fastdds_0af68faea5ccfe49"])
def test_segments_of_ended_processes_are_told_and_those_in_use_are_not(tmp_path, name):
    for path in (name, "fastrtps_port7411", "fastrtps_port7411_el"):
        (tmp_path / path).write_bytes(bytes(MIB))
    lock = tmp_path / f"{name}_el"
    lock.touch()
    assert list(machine.stale_segments(tmp_path)) == [tmp_path / name]
    told = machine.check_shared_memory(tmp_path)[-1]
    assert told.level is Level.WARN
    assert "1 segments of Fast DDS (1.0 MiB)" in told.found
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert list(machine.stale_segments(tmp_path)) == []


@pytest.mark.parametrize(
    ("rmem", "fragments", "level", "said"),
    [
        (212992, 4 * MIB, "WARN", "rmem_max=33554432 net.ipv4.ipfrag_high_thresh=134217728"),
        (4 * MIB, 4 * MIB, "OK", "only for raw images from other machines"),
        (32 * MIB, 128 * MIB, "OK", "32.0 MiB"),
    ],
)
def test_socket_buffers(tmp_path, rmem, fragments, level, said):
    for name, value in (("core/rmem_max", rmem), ("ipv4/ipfrag_high_thresh", fragments)):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(f"{value}\n")
    finding = machine.check_socket_buffers(tmp_path)
    assert finding.level.name == level
    assert said in finding.found + finding.advice


def test_socket_buffers_that_are_not_told(tmp_path):
    assert machine.check_socket_buffers(tmp_path).level is Level.OK


def test_disk(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    file, new = machine.check_disk([("x", tmp_path / "file/below"), ("y", tmp_path / "new/folder")])
    assert (file.level, new.level) == (Level.ERROR, Level.OK)
    with_free(monkeypatch, 10)
    (full,) = machine.check_disk([("y", tmp_path)])
    assert full.level is Level.WARN
    assert "10 MiB free" in full.found
    monkeypatch.setattr("os.access", lambda *_: False)
    (closed,) = machine.check_disk([("y", tmp_path)])
    assert "cannot be written" in closed.found


@pytest.mark.parametrize(
    ("text", "cores", "level"),
    [
        ("MemAvailable:  8000000 kB\n", 2, "OK"),
        ("MemAvailable:  800000 kB\n", 2, "WARN"),
        ("MemAvailable:  8000000 kB\n", 1, "WARN"),
        ("nonsense\n", 1, "OK"),
    ],
)
def test_memory(tmp_path, text, cores, level):
    table = tmp_path / "meminfo"
    table.write_text(text)
    assert machine.check_memory(table, cores).level.name == level


@pytest.mark.parametrize(
    ("now_s", "follows", "level", "words"),
    [
        (0.0, True, "ERROR", "never set"),
        (1.8e9, False, "OK", "follows no other clock"),
        (1.8e9, True, "OK", "follows others"),
        (1.8e9, None, "OK", "not told"),
    ],
)
def test_clock(now_s, follows, level, words):
    finding = machine.check_clock(lambda: now_s, lambda: follows)
    assert finding.level.name == level
    assert words in finding.found


def test_this_machine_can_be_asked():
    assert machine.check_clock().level is Level.OK
    assert machine.check_memory().subject == "memory"
