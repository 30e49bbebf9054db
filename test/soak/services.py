"""`make services`: how long the node's services take to answer while something hangs, beside a node that does nothing.

Calls go to both in turns, so that what a busy machine adds is seen. Prints a line for each thing that hangs; the bound
is 200 ms.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("ros", "fakes")]

from graph import Client  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from node_process import FAKE_NODE, NodeProcess, graph_environment, own_domain  # noqa: E402
from probes import name_of  # noqa: E402
from rcl_interfaces.srv import GetParameters  # noqa: E402

from samlite_ros.bench.process_tree import tree_of  # noqa: E402

BOUND_S, LONGEST_PAUSE_S, GIVEN_UP_S = 0.2, 0.1, 20.0
PEERS = [sys.executable, str(Path(__file__).with_name("peers.py"))]
LONG = {"network_timeout": 3600.0, "load_timeout": 3600.0, "queries": ["red thing"]}
"""What hangs is not ended meanwhile."""


def nothing(client: Client, node: NodeProcess) -> None:
    """Images come and are answered."""


def stop(name: str) -> Callable[[Client, NodeProcess], None]:
    """Stop one of the node's processes."""

    def act(client: Client, node: NodeProcess) -> None:
        pids = [pid for pid in tree_of(node.process.pid) if name_of(pid) == f"samlite {name}"]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    return act


def hang_in_a_phrase(client: Client, node: NodeProcess) -> None:
    """The text encoder never comes back."""
    client.query("hanging", "hang")


def ask_for(transition: int, *before: Callable[[Client, NodeProcess], None]) -> Callable[[Client, NodeProcess], None]:
    """A transition that cannot end."""

    def act(client: Client, node: NodeProcess) -> None:
        for one in before:
            one(client, node)
        service = client.node.create_client(ChangeState, "/samlite/change_state")
        client.wait_for(service.service_is_ready, "service")
        service.call_async(ChangeState.Request(transition=Transition(id=transition)))

    return act


def ask_much(client: Client, node: NodeProcess) -> None:
    """A thousand queries stand."""
    client.planner("many").replace({str(i): f"thing {i}" for i in range(180)})


CASES: dict[str, tuple[dict[str, object], Callable[[Client, NodeProcess], None]]] = {
    "nothing": ({}, nothing),
    "a pass of the network (stopped)": ({}, stop("network")),
    "what starts the network (stopped)": ({}, stop("host")),
    "embedding a phrase": ({}, hang_in_a_phrase),
    "loading at start": ({"model": "hang"}, nothing),
    "configure": ({"model": "hang", "autostart": False}, ask_for(Transition.TRANSITION_CONFIGURE)),
    "shutdown, with network and host stopped": (
        {},
        ask_for(Transition.TRANSITION_ACTIVE_SHUTDOWN, stop("network"), stop("host")),
    ),
    "180 queries of one client": ({}, ask_much),
}


def latencies(client: Client, names: tuple[str, ...], calls: int, dice: random.Random) -> dict[str, list[float]]:
    """Of calls in turns [s]; one that is given up counts as that long."""
    clients = {name: client.node.create_client(GetParameters, f"/{name}/get_parameters") for name in names}
    took_s: dict[str, list[float]] = {name: [] for name in names}
    for service in clients.values():
        client.wait_for(service.service_is_ready, "service")
    for _ in range(calls):
        for name in dice.sample(names, len(names)):
            _spin(client, dice.uniform(0.0, LONGEST_PAUSE_S))
            began_s = time.monotonic()
            future = clients[name].call_async(GetParameters.Request(names=["use_sim_time"]))
            with contextlib.suppress(AssertionError):
                client.wait_for(future.done, "answer", GIVEN_UP_S)
            took_s[name].append(time.monotonic() - began_s)
    return took_s


def _spin(client: Client, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        client.executor.spin_once(timeout_sec=left_s)


@contextlib.contextmanager
def world(domain: int, parameters: dict[str, object]) -> Iterator[tuple[Client, NodeProcess]]:
    """A camera at 30 Hz, the node, a node that does nothing, and a client."""
    environment = {"FAKE_BLOCKS": "4", "FAKE_BLOCK_S": "0.02"}
    node = NodeProcess(FAKE_NODE, domain, {**LONG, **parameters}, environment=environment)
    peers = [subprocess.Popen([*PEERS, *words]) for words in (("camera", "30"), ("bare",))]
    client = Client(domain)
    try:
        yield client, node
    finally:
        client.close()
        for process in peers:
            process.kill()
            process.wait()
        tree = tree_of(node.process.pid)
        node.close()
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def figures(case: str, took_s: dict[str, list[float]]) -> dict[str, object]:
    """Percentiles [ms] of both, and the share of answers within the bound [%]."""
    told: dict[str, object] = {"hangs": case}
    for name, values in took_s.items():
        ms = [round(1000 * float(np.percentile(values, q)), 1) for q in (50, 95, 99, 100)]
        within = round(100 * float(np.mean(np.asarray(values) <= BOUND_S)), 1)
        told[name] = {"p50 p95 p99 max [ms]": ms, "within 200 ms [%]": within}
    return told


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    for case, (parameters, act) in CASES.items():
        with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)):
            with world(domain, parameters) as (client, node):
                client.wait_for_diagnostic("node", lambda *_: True)
                if not parameters:
                    client.wait_for_diagnostic("network", lambda _, v: v["images embedded"] not in ("", "0"))
                act(client, node)
                _spin(client, 1.0)
                found = latencies(client, ("samlite", "bare"), options.calls, dice)
            sys.stdout.write(json.dumps(figures(case, found)) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
