"""Starts the network's processes, and ends them: a small process, forked from the node before the node has threads."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from samlite_ros.errors import NetworkEndedError
from samlite_ros.network.link import Bell, Link, is_closed
from samlite_ros.network.remote import RemoteNetwork
from samlite_ros.network.server import NetworkServer
from samlite_ros.segmenter.contract import Segmenter

END_TIMEOUT_S = 2.0
"""The kernel takes so long at most to end a killed process [s]; one that hangs in a driver is left to it."""
ANSWER_TIMEOUT_S = END_TIMEOUT_S + 3.0
"""A host that does not answer for so long [s] is taken for dead, and ended."""
STARTERS = 2
"""So many processes can start networks' processes: one does, another takes its place where that is killed."""
NICENESS = 5
"""Of the network's process: the node's threads come first, which answer every camera frame.

Beside a network with as many busy threads as the computer has cores (2) an answer takes 32 ms p50 and 43 ms p95 so, not
41 and 66, and the network does as many passes within 2 %; with a core free it makes no difference. 10 gives 26 and 38,
but leaves the network little where the rest of a robot keeps the cores busy.
"""
_START = 0
_COMMAND = struct.Struct("<i")  # pid to end, or _START
_ANSWER = struct.Struct("<iB")  # pid, or status of waitpid; whether it is known
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # sys/prctl.h

Factory = Callable[[Any], Segmenter]


class _Starter:
    """A process that starts networks' processes.

    Args:
        pid: Its number.
        control: To it.
    """

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid, self.control = pid, control
        self._lock = threading.Lock()
        control.settimeout(ANSWER_TIMEOUT_S)

    @property
    def is_alive(self) -> bool:
        return not is_closed(self.control)

    def command(self, number: int, descriptors: list[int]) -> int | None:
        """What it answers; None = it does not know, or is gone."""
        with self._lock, suppress(OSError):
            try:
                socket.send_fds(self.control, [_COMMAND.pack(number)], descriptors)
                answer = self.control.recv(_ANSWER.size)
            except TimeoutError:  # it is stopped; its answer would be taken for that to the next command
                _kill(self.pid)
                self.close(END_TIMEOUT_S)
                return None
            if answer:
                value, known = _ANSWER.unpack(answer)
                return int(value) if known else None
        return None

    def close(self, timeout_s: float) -> None:
        """End it and what it started; may be called from any thread."""
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)  # who waits for its answer wakes up
        if not _reap(self.pid, timeout_s):  # it is stopped, or hangs
            _kill(self.pid)
            _reap(self.pid, timeout_s)


class NetworkHost:
    """The node's end: loads the network in a process of its own, again and again.

    A network's process is a copy of this one as it was when the host was started, so that the factory need not be
    importable. It never outlives the node, however that ends.

    Args:
        starters: Start these processes: the first does, the others wait until it is gone.
    """

    def __init__(self, starters: list[_Starter]) -> None:
        self._starters = starters
        self._network_pid = 0
        self._connection: socket.socket | None = None
        self._why_ended = ""
        self._closed = False

    @classmethod
    def start(cls, factory: Factory) -> NetworkHost | None:
        """Fork the host.

        Args:
            factory: Builds the segmenter, in the network's process.

        Returns:
            None where this process has more than one thread of Python's already, which a fork would leave half-way.
        """
        if sys.platform != "linux" or threading.active_count() > 1:
            return None
        starters: list[_Starter] = []
        for _ in range(STARTERS):
            starters.append(_fork_starter(factory, [starter.control for starter in starters]))
        return cls(starters)

    @property
    def pid(self) -> int:
        """Of the process that starts networks now."""
        return self._starters[0].pid

    @property
    def is_alive(self) -> bool:
        """Whether it can start processes; may be asked from any thread."""
        return not self._closed and any(starter.is_alive for starter in self._starters)

    def load(self, parameters: object) -> RemoteNetwork:
        """Load the network in a new process; one that was loaded before is ended.

        Args:
            parameters: What the factory takes; must be picklable.

        Raises:
            NetworkEndedError: The process could not be started, or has ended.
            Exception: What the factory raised; see `RemoteNetwork`.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            pid = self._start_network(theirs)
        link = Link(ours, shares=True, bell=Bell())
        self._connection, self._why_ended = ours, ""
        try:
            return RemoteNetwork(link, pid, lambda: self._end(pid), parameters)
        except BaseException:
            self._end(pid)
            link.close()
            raise

    def end_network(self, why: str) -> None:
        """Kill the network's process; whoever waits for it gets an error. May be called from any thread, never waits.

        Args:
            why: In words, for that error: "the network's process was ended: ...".
        """
        pid, connection = self._network_pid, self._connection
        if not pid or connection is None:
            return
        self._why_ended = why
        _kill(pid)  # the host has not waited for it, so that the number is still its own
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # also where the kernel cannot end it, deep in a driver

    def close(self) -> None:
        """End the network's process, whatever it does, and the host; may be called from any thread."""
        if self._closed:
            return
        self._closed = True
        self.end_network("the node ends")
        starters = list(self._starters)
        for starter in starters:
            with suppress(OSError):
                starter.control.shutdown(socket.SHUT_RDWR)
        for starter in starters:
            starter.close(END_TIMEOUT_S / 4)

    def _start_network(self, connection: socket.socket) -> int:
        if self._network_pid:
            self._end(self._network_pid)
        answer = None
        while answer is None and self._has_starter():
            answer = self._starters[0].command(_START, [connection.fileno()])
        if answer is None or answer <= 0:
            why = "its host has ended" if answer is None else os.strerror(-answer)
            raise NetworkEndedError(f"the network's process cannot be started: {why}")
        self._network_pid = answer
        return answer

    def _end(self, pid: int) -> str:
        """Kill a process of ours; returns how it ended, in words."""
        if pid != self._network_pid:
            return "was ended before"
        self._network_pid = 0
        status = self._starters[0].command(pid, [])
        if self._why_ended:
            return f"was ended: {self._why_ended}"
        return "has ended" if status is None else _in_words(os.waitstatus_to_exitcode(status))

    def _has_starter(self) -> bool:
        """The first one that is there; those that are gone are let go, but for the last."""
        while len(self._starters) > 1 and not self._starters[0].is_alive:
            self._starters.pop(0).close(END_TIMEOUT_S)
        return not self._closed and self._starters[0].is_alive


def _fork_starter(factory: Factory, others: list[socket.socket]) -> _Starter:
    """Fork one.

    Args:
        factory: Builds the segmenter.
        others: This process's ends of the connections to those that were forked before.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    node = os.getpid()
    pid = _fork()
    if pid == 0:
        for connection in (ours, *others):
            connection.close()
        _run_and_leave(lambda: _serve_node(theirs, factory, node))
    theirs.close()
    return _Starter(pid, ours)


def _in_words(code: int) -> str:
    if code >= 0:
        return f"ended by itself with status {code}"
    with suppress(ValueError):
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"was ended by signal {-code}"


def _serve_node(control: socket.socket, factory: Factory, node: int) -> None:
    """In the host: start and end networks' processes until the node is gone."""
    _be_a_child(b"samlite host", node)
    running: set[int] = set()
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, _COMMAND.size, 1)
            if not data:
                return
            (number,) = _COMMAND.unpack(data)
            if number == _START:
                answer = _start(control, descriptors[0], factory)
                if answer > 0:
                    running.add(answer)
                control.send(_ANSWER.pack(answer, True))
            else:
                running.discard(number)
                status = _kill_and_wait(number)
                control.send(_ANSWER.pack(status or 0, status is not None))
    except (BrokenPipeError, ConnectionResetError):  # the node has gone meanwhile
        return
    finally:
        for pid in running:
            _kill(pid)


def _start(control: socket.socket, descriptor: int, factory: Factory) -> int:
    """Fork a network's process; returns its pid, or the negative errno."""
    host = os.getpid()
    try:
        pid = _fork()
    except OSError as error:
        return -(error.errno or 1)
    finally:
        if os.getpid() == host:
            os.close(descriptor)
    if pid == 0:
        control.close()
        _run_and_leave(lambda: _serve_requests(socket.socket(fileno=descriptor), factory, host))
    return pid


def _serve_requests(connection: socket.socket, factory: Factory, host: int) -> None:
    """In the network's process: answer the node until it is gone."""
    _be_a_child(b"samlite network", host)
    os.nice(NICENESS)
    NetworkServer(Link(connection), factory).run()


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, which know of forks
        return os.fork()


def _run_and_leave(work: Callable[[], None]) -> NoReturn:
    """In a forked process: nothing of what the other one had planned for its end may happen here."""
    try:
        work()
    except BaseException:
        with suppress(Exception):
            traceback.print_exc()
        _leave(1)  # while the error holds the link: once that is closed, the node has what still runs killed
    _leave(0)


def _leave(status: int) -> NoReturn:
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _be_a_child(name: bytes, parent: int) -> None:
    """Signals to the terminal's foreground, or to a whole service, are the node's affair; it ends its children.

    Whatever they do, stopped ones too, the kernel ends them with their parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _prctl(_PR_SET_NAME, name)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be asked
        os._exit(0)


def _prctl(option: int, argument: int | bytes) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, argument if isinstance(argument, bytes) else ctypes.c_ulong(argument), 0, 0, 0)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_and_wait(pid: int) -> int | None:
    """Status of waitpid; None where the process does not end."""
    _kill(pid)
    return _wait(pid, END_TIMEOUT_S)


def _reap(pid: int, timeout_s: float) -> bool:
    """Wait for a child's end so long [s]; returns whether it has ended."""
    try:
        return _wait(pid, timeout_s) is not None
    except ChildProcessError:  # it was waited for before
        return True


def _wait(pid: int, timeout_s: float) -> int | None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= deadline_s:
            return None
        time.sleep(0.002)
