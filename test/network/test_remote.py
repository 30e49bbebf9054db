"""The network in a process of its own, without ROS: same answers, same errors, and no process is left behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from fake_segmenter import FakeSegmenter
from network_process import DEADLINE_S, a_host, ask, embed, frame, make, make_echo, runs, wait_until
from prompts import prompts

from samlite_ros.errors import Cancelled, ModelLoadError, NetworkEndedError, NetworkError, PhraseTooLongError
from samlite_ros.network import host as network_host
from samlite_ros.network import remote as remote_network
from samlite_ros.network.host import NetworkHost
from samlite_ros.network.link import Link
from samlite_ros.network.local import LocalNetwork
from samlite_ros.network.protocol import Failure, SearchImage
from samlite_ros.network.remote import RemoteNetwork
from samlite_ros.network.server import NetworkServer
from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.types import DecodeOptions, DepthImage, Frame, Prompt


@pytest.fixture(scope="module")
def host():
    with a_host() as host:
        yield host


def assert_same(a, b):
    assert (a.prompt.display, a.presence, len(a.masks)) == (b.prompt.display, b.presence, len(b.masks))
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
    for one, other in zip(a.masks, b.masks, strict=True):
        assert (one.x0, one.y0, one.size, one.threshold) == (other.x0, other.y0, other.size, other.threshold)
        np.testing.assert_array_equal(one.probability, other.probability)


@pytest.mark.parametrize("size", [(6, 8), (720, 1280)])
def test_all_three_calls_answer_as_within_the_process(host, size):
    remote, local = host.load((3,)), LocalNetwork(make_echo(3))
    shown = frame(size=size)
    for network in (remote, local):
        assert (network.embed(prompts("a", "b")), network.model_id, network.interruptible) == ({}, "net", True)
        image = embed(network, shown, lambda: None)
        assert (image.stamp_ns, image.camera, image.size, image.model_id) == (7, "left", size, "net")
        del image
    here = ask(local, embed(local, shown), "a", "b")
    there = ask(remote, embed(remote, shown), "a", "b")
    for a, b in zip(here, there, strict=True):
        assert b.masks[0].probability.flags.writeable
        assert_same(a, b)


def test_a_frames_companions_stay_here(host):
    remote = host.load((3,))
    shown = replace(frame(), depth=DepthImage(np.ones((6, 8), np.float32), 7))
    with patch.object(remote, "_answer", wraps=remote._answer) as asked:
        image = embed(remote, shown)
    (call,) = (args[0] for args, _ in asked.call_args_list if isinstance(args[0], SearchImage))
    assert call.frame.depth is None and call.frame.image is shown.image
    assert image.stamp_ns == shown.stamp_ns


def test_a_camera_is_forgotten_without_an_answer():
    segmenter = FakeSegmenter()
    ours, theirs = (Link(end) for end in socket.socketpair())
    thread = threading.Thread(target=NetworkServer(theirs, lambda _parameters: segmenter).run)
    thread.start()
    remote = RemoteNetwork(ours, 0, lambda: "was let go", None)
    remote.forget("left")
    assert remote.embed(prompts("a")) == {}
    assert segmenter.calls[0] == ("forget", "left")
    remote.close()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_image_and_decoding_can_be_had_in_one_call(host):
    remote, local, options = host.load((100, 0.005)), LocalNetwork(make_echo()), [DecodeOptions(0.25)]
    before, late = embed(remote, frame(1)), []

    def ask_in_the_second_half():
        if not late and time.monotonic() - began_s > 0.75:
            late.extend(ask(remote, before, "late"))

    began_s = time.monotonic()
    found = remote.search(frame(), prompts("a"), options, ask_in_the_second_half)
    took_s = time.monotonic() - began_s
    assert late and 0.5 <= found.encode_s <= took_s - 0.5
    (here,) = ask(local, embed(local, frame()), "a")
    (again,) = ask(remote, found.image, "a")
    np.testing.assert_array_equal(found.results[0].masks[0].probability, here.masks[0].probability)
    assert again.prompt.display == "A 7 left 2 living"


def test_where_decoding_fails_the_image_is_let_go(host):
    remote = host.load((1,))
    with pytest.raises(ValueError, match="zip"):
        remote.search(frame(), prompts("a"), [], None)
    assert ask(remote, embed(remote, frame(8)), "a")[0].prompt.display == "A 8 left 1 living"


def test_arrays_that_are_not_contiguous_travel_too(host):
    remote = host.load((1,))
    whole = frame(size=(300, 400))
    flipped = Frame(whole.image[:, ::-1, ::-1], 7, "optical", "left")
    (result,) = ask(remote, embed(remote, flipped), "a")
    np.testing.assert_array_equal(result.masks[0].probability, whole.image[:, ::-1, 2])


def test_a_query_is_answered_within_a_pass(host):
    remote = host.load((200, 0.005))
    before = embed(remote, frame(1))
    late = []

    def ask_once():
        if not late:
            late.extend(ask(remote, before, "late"))
            late.append(time.monotonic())

    embed(remote, frame(2), ask_once)
    assert late[0].prompt.display.startswith("LATE 1 left")
    assert time.monotonic() - late[-1] > 0.5, "it waited for the pass"


def test_a_new_phrase_and_its_decoding_wait_for_one_block_only(host):
    remote = host.load((4, 0.4))
    before = embed(remote, frame(1))
    answered_s = []

    def ask_once():
        if not answered_s:
            ask(remote, before, "new")
            answered_s.append(time.monotonic() - began_s)

    began_s = time.monotonic()
    embed(remote, frame(2), ask_once)
    assert answered_s[0] < 0.7


def test_who_has_something_for_a_running_pass_need_not_wait(host, monkeypatch):
    monkeypatch.setattr(remote_network, "LOOK_S", 20.0)
    remote = host.load((100, 0.01))
    asked_s, looked_s = [], []
    timer = threading.Timer(0.2, lambda: (asked_s.append(time.monotonic()), remote.look()))
    timer.start()
    embed(remote, frame(1), lambda: looked_s.append(time.monotonic()))
    timer.join()
    assert len(looked_s) == 1 and 0 <= looked_s[0] - asked_s[0] < 0.2
    remote.close()
    remote.look()  # a thread may come too late


def test_what_on_block_raises_ends_the_pass_on_both_sides(host):
    remote = host.load((2000, 0.005))
    image = embed(remote, frame(1))

    def cancel():
        raise Cancelled("stop")

    began_s = time.monotonic()  # a pass that nothing ends takes 10 s
    for run in (
        lambda: embed(remote, frame(2), cancel),
        lambda: remote.search(frame(2), prompts("b"), [DecodeOptions()], cancel),
    ):
        with pytest.raises(Cancelled, match="stop"):
            run()
    with pytest.raises(ZeroDivisionError):
        embed(remote, frame(3), lambda: 1 / 0)
    (result,) = ask(remote, image, "c")
    assert result.prompt.display.startswith("C 1 left")
    assert time.monotonic() - began_s < 5.0, "the network went on with a pass that was given up"


def test_a_network_without_steps_is_not_interrupted():
    with a_host(lambda parameters: make_echo(interruptible=False)) as host:
        remote = host.load(None)
        found = remote.search(frame(), prompts("a"), [DecodeOptions()], lambda: None)
    assert found.results[0].prompt.display.startswith("A 7")


def test_errors_arrive_as_they_were_raised(capfd):
    with a_host() as host:
        check_errors(host, host.load((1,)), capfd)


def check_errors(host, remote, capfd):
    with pytest.raises(PhraseTooLongError, match="needs 40 tokens") as raised:
        raise remote.embed(prompts("toolong"))[Prompt("toolong")]
    assert (raised.value.phrase, raised.value.tokens, raised.value.limit) == ("toolong", 40, 32)
    image = embed(remote, frame())
    other = ImageEmbedding(7, "left", (6, 8), "other", image.features)
    with pytest.raises(ValueError, match="image of 'other'"):
        ask(remote, other, "a")
    assert capfd.readouterr().err == ""
    for _ in range(2):
        with pytest.raises(NetworkError, match=r"^StrangeError: <function"):
            raise remote.embed(prompts("strange"))[Prompt("strange")]
    assert capfd.readouterr().err.count("Traceback") == 1
    assert remote.embed(prompts("good")) == {}
    with pytest.raises(ModelLoadError, match="no such folder"):
        host.load("missing")
    with pytest.raises(NetworkError, match="KeyError: 'weights'"):
        host.load("broken")
    assert host.load((1,)).model_id == "net"


def test_an_error_that_carries_what_cannot_be_pickled_keeps_its_kind_and_text():
    error = ModelLoadError("no", lambda: None)
    error.cause = lambda: None
    again = Failure.of(error).exception()
    assert type(again) is ModelLoadError and str(again) == str(error)


def test_an_embedding_of_another_network_is_refused(host):
    image = embed(host.load((1,)), frame())
    remote = host.load((1,))
    with pytest.raises(ValueError, match="not in this network's process"):
        ask(remote, image, "a")


def test_embeddings_are_let_go_with_the_nodes_objects(host):
    remote = host.load((200, 0.005))
    kept = [embed(remote, frame(stamp)) for stamp in (1, 2, 3)]
    assert ask(remote, kept[0], "a")[0].prompt.display == "A 1 left 3 living"
    del kept[1:]
    with pytest.raises(Cancelled):
        embed(remote, frame(4), lambda: (_ for _ in ()).throw(Cancelled("stop")))
    assert ask(remote, kept[0], "a")[0].prompt.display == "A 1 left 1 living"


@pytest.mark.parametrize("in_pass", [False, True])
def test_a_killed_process_is_named_and_another_can_be_loaded(host, in_pass):
    remote = host.load((2000, 0.005))

    def kill():
        os.kill(remote.pid, signal.SIGKILL)

    began_s = time.monotonic()
    if not in_pass:
        kill()
        wait_until(lambda: not remote.is_alive, "its end is not noticed")
    for _ in range(2):
        with pytest.raises(NetworkEndedError, match=r"^the network's process was ended by signal 9 \(SIGKILL\)$"):
            embed(remote, frame(), kill)
    assert time.monotonic() - began_s < 5.0
    again = host.load((1,))
    assert again.is_alive and again.pid != remote.pid
    assert ask(again, embed(again, frame()), "a")


def test_a_process_that_ends_by_itself_is_named(host):
    remote = host.load((1,))
    with pytest.raises(NetworkEndedError, match="ended by itself with status 7"):
        remote.embed(prompts("die"))


def test_closing_ends_the_process_in_the_middle_of_a_pass(host):
    remote = host.load((2000, 0.005))

    def cancel():
        raise Cancelled("stop")

    began_s = time.monotonic()
    with pytest.raises(Cancelled):
        embed(remote, frame(), cancel)
    remote.close()
    assert not runs(remote.pid) and not remote.is_alive
    assert time.monotonic() - began_s < 1.0
    with pytest.raises(NetworkEndedError, match="let go"):
        remote.embed(prompts("a"))


def test_two_loads_in_a_row_leave_one_process_and_closing_the_host_none():
    with a_host() as host:
        first, second = host.load((1,)), host.load((2,))
        assert runs(second.pid) and not runs(first.pid)
    assert not host.is_alive
    wait_until(lambda: not runs(second.pid) and not runs(host.pid), "a process is left")


def test_the_factory_may_be_any_function():
    answer = [5]
    with a_host(lambda parameters: make_echo(*parameters, *answer[1:])) as host:
        assert host.load((1,)).model_id == "net"


def test_where_threads_run_there_is_no_host():
    with patch.object(network_host.threading, "active_count", lambda: 2):
        assert NetworkHost.start(make) is None


PARENT = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from network_process import embed, frame, make
from samlite_ros.network.host import NetworkHost
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in a shell's background inherit that it is ignored
host = NetworkHost.start(make)
remote = host.load((10000, 0.01))
def tell_once(told=[]):
    if not told:
        told.append(print(host.pid, remote.pid, flush=True))
    {then}
embed(remote, frame(), tell_once)
"""


@pytest.mark.parametrize(
    ("with_signal", "whom", "then"),
    [
        (signal.SIGKILL, "parent", "pass"),
        (signal.SIGTERM, "parent", "pass"),
        (signal.SIGINT, "parent", "pass"),  # a KeyboardInterrupt, with all of Python's way to the end
        (signal.SIGSEGV, "parent", "pass"),
        (signal.SIGKILL, "host", "pass"),
        (0, "parent", "os._exit(3)"),
        (0, "parent", "sys.exit(3)"),
    ],
)
def test_no_process_is_left_however_the_node_ends(with_signal, whom, then):
    script = textwrap.dedent(PARENT).format(folder=str(Path(__file__).parents[1] / "fakes"), then=then)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        os.kill({"parent": parent.pid, "host": pids[0]}[whom], with_signal)
        parent.wait(DEADLINE_S)  # without its host it raises
        wait_until(lambda: not any(runs(pid) for pid in pids), "a process is left")
    finally:
        parent.kill()
        parent.wait()


def test_an_interrupt_of_the_terminals_group_leaves_the_children_to_the_node():
    with a_host() as host:
        remote = host.load((1,))
        for number in (signal.SIGINT, signal.SIGTERM):
            for pid in (host.pid, remote.pid):
                os.kill(pid, number)
        assert remote.embed(prompts("a")) == {}
        assert host.load((1,)).is_alive
