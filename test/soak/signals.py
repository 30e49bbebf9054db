"""`make signals TIMES=50`: signals at random moments to node, network, host, camera and planner; prints figures.

After each: nothing is left behind, the node ends as ROS wants it, and the planner's query is active and answered again.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("ros", "fakes")]

from graph import OUTPUTS, Client  # noqa: E402
from node_process import FAKE_NODE, REAL_NODE, NodeProcess, graph_environment, own_domain  # noqa: E402
from probes import catches, name_of, runs, segments_of  # noqa: E402

from samlite_ros.bench.process_tree import tree_of  # noqa: E402
from samlite_ros.msg import QueryStatus  # noqa: E402

SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}
TARGETS = ("node", "network", "host", "camera", "planner")
END_S, BACK_S, LONGEST_STOP_S, START_S = 5.0, 60.0, 3.0, 4.0
PEERS = [sys.executable, str(Path(__file__).with_name("peers.py"))]
PHRASE = "red thing"
MIDDLEWARE = "the middleware lost a camera that is there"
ENDS_WITH_0 = ("INT", "TERM")


class World:
    """A camera, a planner, the node, and a client that listens.

    Args:
        domain: ROS domain.
        command: Starts the node.
    """

    def __init__(self, domain: int, command: list[str]) -> None:
        self.domain, self._command = domain, command
        self.client = Client(domain)
        self.answers = self.client.listen("/samlite/segmentation", *OUTPUTS["segmentation"])
        self.camera = self._peer("camera", "30")
        self.planner = self._peer("planner", PHRASE)
        self.node = self.start_node()

    def start_node(self) -> NodeProcess:
        """Another node."""
        environment = {"FAKE_BLOCKS": "4", "FAKE_BLOCK_S": "0.02"}
        self.node = NodeProcess(self._command, self.domain, {"network_timeout": 2.0}, environment=environment)
        return self.node

    def close(self) -> None:
        """End all."""
        self.node.close()
        for process in (self.camera, self.planner):
            process.kill()
            process.wait()
        self.client.close()

    def pid_of(self, target: str) -> int:
        """Of one of the processes; 0 where there is none now."""
        if target in ("camera", "planner"):
            return int(getattr(self, target).pid)
        if target == "node":
            return int(self.node.process.pid)
        named = f"samlite {target}"
        return next((pid for pid in tree_of(self.node.process.pid) if name_of(pid) == named), 0)

    def wait(self, seconds: float) -> None:
        """Let the graph live."""
        until_s = time.monotonic() + seconds
        with contextlib.suppress(AssertionError):
            self.client.wait_for(lambda: time.monotonic() > until_s, "", seconds + 1.0)

    def wait_until_answered(self) -> float:
        """Until the query is active and found in a new answer; returns how long that took [s]."""
        began_s, stamp = time.monotonic(), time.time_ns()

        def well() -> bool:
            del self.answers[:-1]
            status = self.client.statuses.get(("planner", PHRASE))
            newest = self.answers[-1] if self.answers else None
            return bool(
                status is not None
                and status.state == QueryStatus.ACTIVE
                and newest is not None
                and newest.header.stamp.sec * 10**9 > stamp
                and newest.instances
            )

        self.client.wait_for(well, "answer", BACK_S)
        return time.monotonic() - began_s

    def renew(self, target: str) -> None:
        """Start again what has ended."""
        if target == "node":
            self.node.close()
            self.start_node()
        elif target == "camera":
            self.camera.wait()
            self.camera = self._peer("camera", "30")
        else:
            self.planner.wait()
            self.planner = self._peer("planner", PHRASE)

    def _peer(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*PEERS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def strike(world: World, target: str, name: str, dice: random.Random) -> tuple[float, list[str]]:
    """One signal; returns how long it took until the query was answered again [s], and what was wrong."""
    faults: list[str] = []
    world.wait(dice.uniform(0.0, START_S if target == "node" else 1.0))
    world.client.wait_for(lambda: world.pid_of(target), target, BACK_S)
    if target in ("node", "camera", "planner"):  # what comes before, in Python's own first 20 ms, is not ours
        world.client.wait_for(lambda: catches(world.pid_of(target), signal.SIGTERM), f"{target}'s handlers", BACK_S)
    pid, tree = world.pid_of(target), tree_of(world.node.process.pid)
    segments = segments_of(pid) if target == "node" and name in ENDS_WITH_0 else set()
    os.kill(pid, SIGNALS[name])
    if name == "STOP":
        world.wait(dice.uniform(0.0, LONGEST_STOP_S))
        with contextlib.suppress(ProcessLookupError):  # the node ended it
            os.kill(pid, signal.SIGCONT)
    elif target in ("network", "host"):
        world.wait(0.2)
    else:
        faults += _ended(world, target, name)
        if target == "node":
            faults += _left(tree)
            faults += [f"shared memory is left: {path.name}" for path in segments if path.exists()][:1]
        world.renew(target)
    took_s, fault = answered_again(world)
    faults += [fault] if fault else []
    if target == "host" and name == "KILL" and not world.pid_of("host"):  # the last one: another node's is next
        world.renew("node")
    return took_s, faults


def answered_again(world: World) -> tuple[float, str]:
    """How long it took until the query was answered again [s], and what was wrong; a world that is well again.

    Where a process that used shared memory was killed, Fast DDS may leave another one deaf for newcomers: then a camera
    that is there is not heard, until it is started again (docs/faults.md).
    """
    try:
        return world.wait_until_answered(), ""
    except AssertionError:
        sys.stderr.write(world.node.log()[-2000:] + world.client.seen())
        world.camera.kill()
        world.renew("camera")
    with contextlib.suppress(AssertionError):
        world.wait_until_answered()
        return BACK_S, MIDDLEWARE
    world.renew("node")
    return BACK_S, "no answer"


def _ended(world: World, target: str, name: str) -> list[str]:
    process = world.node.process if target == "node" else getattr(world, target)
    try:
        status = process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return [f"did not end within {END_S:g} s"]
    said = world.node.log() if target == "node" else process.stderr.read().decode()
    faults = ["traceback"] if "Traceback" in said else []
    if faults:
        sys.stderr.write(said[-2000:])
    return [*faults, f"status {status}"] if name in ENDS_WITH_0 and status != 0 else faults


def _left(tree: list[int]) -> list[str]:
    deadline_s = time.monotonic() + 3.0
    while any(runs(pid) for pid in tree) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return [f"{name_of(pid)} is left" for pid in tree if runs(pid)]


def strike_all(world: World, options: argparse.Namespace) -> int:
    """Every signal to every target, in turns, until the time is over; prints figures, returns what was wrong."""
    dice, until_s = random.Random(options.seed), time.monotonic() + 60.0 * options.minutes
    world.wait_until_answered()
    pairs = [(target, name) for target in options.targets for name in options.signals]
    results: dict[tuple[str, str], list[tuple[float, list[str]]]] = {pair: [] for pair in pairs}
    with contextlib.suppress(KeyboardInterrupt):
        for target, name in (pair for _ in range(options.times) for pair in dice.sample(pairs, len(pairs))):
            if time.monotonic() > until_s:
                break
            results[target, name].append(strike(world, target, name, dice))
            if results[target, name][-1][1]:
                _tell({"target": target, "signal": name, "faults": results[target, name][-1][1]})
    for (target, name), found in results.items():
        _tell(_figures(target, name, found))
    return sum(len(faults) for found in results.values() for _, faults in found)


def _figures(target: str, name: str, results: list[tuple[float, list[str]]]) -> dict[str, object]:
    back_s = sorted(took_s for took_s, _ in results) or [0.0]
    return {
        "target": target,
        "signal": name,
        "times": len(results),
        "faults": dict(Counter(fault for _, found in results for fault in found)),
        "answered again, median and longest [s]": [round(s, 2) for s in (back_s[len(back_s) // 2], back_s[-1])],
    }


def _tell(figures: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run it; returns 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no other after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", nargs="*", default=TARGETS, choices=TARGETS)
    parser.add_argument("--signals", nargs="*", default=tuple(SIGNALS), choices=tuple(SIGNALS))
    parser.add_argument("--real", action="store_true", help="the demo checkpoint, not a fake network")
    options = parser.parse_args()
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)):
        world = World(domain, REAL_NODE if options.real else FAKE_NODE)
        try:
            wrong = strike_all(world, options)
        finally:
            world.close()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
