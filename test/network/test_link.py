"""Images through shared memory: they arrive as they are, stay so while anybody has them, and the memory is let go."""

import errno
import os
import resource
import socket
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from network_process import a_host, ask, embed, frame, make_echo
from prompts import prompts

from samlite_ros.errors import Cancelled, NetworkEndedError
from samlite_ros.network.link import NAME, Link, LinkBrokenError, LinkClosedError

SIZES = [(200, 300), (480, 640), (6, 8), (720, 1280), (480, 640), (1080, 1920), (300, 300), (1080, 1920)]
LARGE = (480, 641)  # (480, 640) is the warm-up's


def copied(frame):
    """What the image is after its pass, and nothing of the frame; a black image is refused."""
    if not frame.image.any():
        raise ValueError("black")
    return replace(frame, image=frame.image.copy())


@pytest.fixture(scope="module")
def copying_host():
    with a_host(lambda parameters: make_echo(*parameters, keep=copied)) as host:
        yield host


@pytest.fixture(scope="module")
def keeping_host():
    with a_host(lambda parameters: make_echo(*parameters)) as host:
        yield host


@pytest.fixture
def copying(copying_host):
    with closing(copying_host.load((200, 0.002))) as remote:
        yield remote


@pytest.fixture(params=["copying_host", "keeping_host"])
def either(request):
    with closing(request.getfixturevalue(request.param).load((3,))) as remote:
        yield remote


def blocks(pid="self"):
    """How many blocks a process sees."""
    return sum(NAME in line for line in Path(f"/proc/{pid}/maps").read_text().splitlines())


def descriptors(pid="self"):
    return len(os.listdir(f"/proc/{pid}/fd"))


def made_blocks():
    return patch("os.memfd_create", wraps=os.memfd_create)


def assert_seen(remote, image, shown):
    (result,) = ask(remote, image, "a")
    np.testing.assert_array_equal(result.masks[0].probability, shown.image[..., 0])
    assert result.presence == shown.image.mean()


def test_images_of_all_sizes_arrive_and_stay_as_they_were(either):
    kept = []
    for stamp, size in enumerate(SIZES * 2, start=1):
        shown = frame(stamp, size)
        kept.append((embed(either, shown), shown))
        assert_seen(either, *kept[-1])
    for image, shown in kept:
        assert_seen(either, image, shown)


def test_one_block_is_enough_for_images_that_are_not_kept(copying):
    with made_blocks() as made:
        for stamp in range(1, 6):
            embed(copying, frame(stamp, LARGE))
        with pytest.raises(ValueError, match="black"):
            embed(copying, frame_of_zeros())
        with pytest.raises(Cancelled):
            embed(copying, frame(6, LARGE), cancel)
        shown = frame(7, LARGE)
        assert_seen(copying, embed(copying, shown), shown)
    assert made.call_count == 1


def frame_of_zeros():
    shown = frame(1, LARGE)
    shown.image[:] = 0
    return shown


def cancel():
    raise Cancelled("stop")


def test_an_image_does_not_change_while_its_pass_runs(copying):
    outer, within = frame(1, LARGE), frame(2, LARGE)
    inner = []

    def embed_another():
        if not inner:
            inner.append(embed(copying, within))

    with made_blocks() as made:
        image = embed(copying, outer, embed_another)
    assert made.call_count == 1
    assert_seen(copying, image, outer)
    assert_seen(copying, inner[0], within)


def test_images_travel_without_shared_memory_too_and_with_it_once_there_is_some(either, monkeypatch):
    shown = [frame(stamp, LARGE) for stamp in range(4)]
    before = blocks()
    with patch("os.memfd_create", side_effect=PermissionError(errno.EPERM, "seccomp")):
        assert_seen(either, embed(either, shown[0]), shown[0])
    with patch("os.posix_fallocate", side_effect=OSError(errno.ENOSPC, "no memory")):
        assert_seen(either, embed(either, shown[1]), shown[1])
    with monkeypatch.context() as without:
        without.delattr(os, "memfd_create")
        assert_seen(either, embed(either, shown[2]), shown[2])
    assert blocks() == before and blocks(either.pid) == 0
    assert_seen(either, embed(either, shown[3]), shown[3])
    assert blocks() == before + 1 and blocks(either.pid) == 1


def test_the_memory_is_let_go(either):
    before = blocks(), descriptors()
    counts = []
    for stamp in range(200):
        shown = frame(stamp, SIZES[stamp % 2])
        with suppress(Cancelled):
            embed(either, shown, cancel if stamp % 20 == 5 else None)
        counts.append((blocks(), descriptors(), blocks(either.pid), descriptors(either.pid)))
    settled = counts[10:]  # the block has its size
    assert max(ours for ours, *_ in settled) == before[0] + 1
    assert max(theirs for *_, theirs, _ in settled) <= 3  # an embedding is let go with the next request
    assert max(settled[100:]) <= max(settled[:100])
    assert max(count[3] for count in settled[100:]) <= max(count[3] for count in settled[:100])
    either.close()
    assert (blocks(), descriptors()) == (before[0], before[1] - 2)  # its socket and its bell are closed too


def test_messages_stay_in_step_with_and_without_blocks():
    ends = socket.socketpair()
    node, network = Link(ends[0], shares=True), Link(ends[1])
    sizes = (10, 100_000, 20_000, 300_000, 1, 100_000, 20_000)
    sent = [np.full(size, size % 251, np.uint8) for size in sizes]
    for i, array in enumerate(sent):
        for message in ((i, array), "between"):
            node.send(message)
        number, arrived = network.receive()
        assert (number, network.receive()) == (i, "between")
        np.testing.assert_array_equal(arrived, array)
        assert arrived.flags.writeable  # or preprocessing would copy it
        if i % 2:
            del arrived
        network.send("reply")
        assert node.receive() == "reply"
    node.close()
    with pytest.raises(LinkClosedError):
        network.receive()
    np.testing.assert_array_equal(arrived, sent[-1])
    network.close()


def test_a_block_whose_descriptor_is_lost_breaks_the_link():
    ends = socket.socketpair()
    node, network = Link(ends[0], shares=True), Link(ends[1])
    node.send(np.zeros(100_000, np.uint8))
    with few_files(), pytest.raises(LinkBrokenError, match="too many files are open"):
        network.receive()
    node.close()
    network.close()


@contextmanager
def few_files():
    """As if all descriptors were in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_network_that_cannot_map_an_image_within_a_pass_ends_and_says_why(capfd):
    with (
        a_host(lambda parameters: make_echo(*parameters, refuse=open_no_more_files)) as host,
        closing(host.load((2000, 0.002))) as remote,
    ):
        remote.embed(prompts("few files"))
        asked = []

        def embed_another():
            if not asked:
                asked.append(embed(remote, frame(2, LARGE)))

        with pytest.raises(NetworkEndedError, match="ended by itself with status 1"):
            embed(remote, frame(1, (6, 8)), embed_another)
    assert "LinkBrokenError: shared memory of an image" in capfd.readouterr().err


def open_no_more_files(prompt):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
