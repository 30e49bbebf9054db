"""`make soak MINUTES=60`: the node under changing queries, sizes, cameras, listeners and kills; fails on a leak.

The growth of memory is judged in runs of 25 minutes and more, all else in any.

Half of the time masks are carried, half of it they are not. Every ten seconds what the node holds is read from /proc;
at the end slopes, counts and the accounting of images are printed, and the exit status is 1 where one is not as it
should be.
"""

import argparse
import itertools
import json
import os
import random
import signal
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("ros", "fakes")]

from graph import RELIABLE, Client, graph  # noqa: E402
from node_process import FAKE_NODE, REAL_NODE, NodeProcess  # noqa: E402
from peers import SIZES, film  # noqa: E402
from probes import Held, held_by, runs, slope_per_10_minutes  # noqa: E402

from samlite_ros.msg import Segmentation, TextQuery  # noqa: E402

SAMPLE_S, KILL_S, SIZE_S = 10.0, 47.0, 23.0
CAMERAS = ("left", "right")
WARM_UP_S, JUDGED_S = 600.0, 900.0
"""Memory grows until every size and kind of pass has come several times; the slope of less time behind it is noise."""
FATES = (
    *("answered", "dropped for newer ones", "not wanted", "rejected", "repeated", "deactivated", "failed"),
    *("superseded", "forgotten", "unanswered"),
)


class Soak:
    """One run.

    Args:
        client: Camera, planner and listener.
        node: The node.
        options: Of the command line.
    """

    def __init__(self, client: Client, node: NodeProcess, options: argparse.Namespace) -> None:
        self.client, self.node, self.options = client, node, options
        self.dice = random.Random(options.seed)
        self.samples: list[tuple[float, Held]] = []
        self.kills = 0
        self._due: dict[str, float] = {}
        self._listener = None
        self._second = 0
        self._streams = {camera: film(SIZES[0]) for camera in CAMERAS}
        self._sizes = itertools.cycle(itertools.product(CAMERAS, SIZES))
        self._resting = ""

    def run(self) -> None:
        """Until the time is over."""
        self.client.query("kept", "red thing")
        self.client.wait_until_active("kept")
        began_s = time.monotonic()
        half_s, over_s = began_s + 30 * self.options.minutes, began_s + 60 * self.options.minutes
        while (now_s := time.monotonic()) < over_s:
            if half_s and now_s > half_s:
                self.client.set_parameter("propagate", False)
                half_s = 0.0
            for name, period_s, act in (
                ("image", 1 / self.options.hz, self._send_images),
                ("queries", 1.0, self._change_queries),
                ("sizes", SIZE_S, self._change_sizes),
                ("kills", KILL_S, self._kill),
                ("sample", SAMPLE_S, lambda: self.samples.append((now_s - began_s, held_by(self.node.process.pid)))),
            ):
                if now_s >= self._due.get(name, began_s + period_s):
                    self._due[name] = max(now_s, self._due.get(name, 0.0) + period_s)
                    act()
            self.client.executor.spin_once(timeout_sec=0.003)

    def counts(self) -> dict[str, dict[str, int]]:
        """Of each camera, once nothing is at work any more but what waits for another image."""
        until_s = time.monotonic() + 4.0
        self.client.wait_for(lambda: time.monotonic() > until_s, "rest")
        found = {}
        for camera in CAMERAS:
            status = self.client.wait_for_diagnostic(f"camera {camera}", lambda *_: True)
            found[camera] = {v.key: int(v.value) for v in status.values if v.value.isdigit()}
        return found

    def _send_images(self) -> None:
        for camera in CAMERAS:
            if camera != self._resting:
                self.client.send_image(next(self._streams[camera]), topic=f"/{camera}/image")

    def _change_queries(self) -> None:
        self._second += 1
        self.client.query(f"{self._second % 7}", f"thing {self._second}")
        self.client.query(f"{(self._second + 3) % 7}", action=TextQuery.REMOVE)
        self.client.query("kept", "red thing" if self._second % 2 else "blue thing")
        if self._second % 5 == 0:
            self._change_listener()
        if self._second % 11 == 0:
            self._resting = self.dice.choice(("", "", "left", "right"))
        for messages in self.client.received.values():
            del messages[:-1]

    def _change_listener(self) -> None:
        if self._listener is not None:
            self.client.node.destroy_subscription(self._listener)
        topic = self.dice.choice(("/samlite/left/segmentation", "/samlite/right/segmentation"))
        self._listener = self.client.node.create_subscription(Segmentation, topic, lambda _: None, RELIABLE)

    def _change_sizes(self) -> None:
        camera, size = next(self._sizes)  # in turn, so that each has come before the slopes are taken
        self._streams[camera] = film(size)

    def _kill(self) -> None:
        if self.options.no_kills:
            return
        status = self.client.diagnostic("network", lambda _, values: values["process"].isdigit())()
        pid = int(next(v.value for v in status.values if v.key == "process")) if status else 0
        if pid and runs(pid):
            os.kill(pid, self.dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP)))
            self.kills += 1


def warm_up_s(share: float, seconds: float) -> tuple[float, bool]:
    """Until when samples do not count, and whether what is left is long enough to judge the growth of memory.

    Args:
        share: Of the time, at least; a run that is long enough warms up for `WARM_UP_S` in any case.
        seconds: Of the whole run.
    """
    long_s = max(share * seconds, WARM_UP_S)
    return (long_s, True) if seconds - long_s >= JUDGED_S else (share * seconds, False)


def verdict(soak: Soak, counts: dict[str, dict[str, int]]) -> dict[str, object]:
    """Figures, and under `faults` what is not as it should be."""
    faults = []
    until_s, is_judged = warm_up_s(soak.options.warm_up, 60 * soak.options.minutes)
    warm = [(at_s, held) for at_s, held in soak.samples if at_s >= until_s] or soak.samples
    times_s = [at_s for at_s, _ in warm]
    figures: dict[str, object] = {"samples": len(warm), "kills": soak.kills}
    for name in ("rss_mib", "anonymous_mib"):
        values = [getattr(held, name) for _, held in warm]
        figures[f"{name} per 10 min"] = round(slope_per_10_minutes(times_s, values), 2)
        figures[name] = f"{values[0]:.1f} to {values[-1]:.1f}"
    if not is_judged:
        least = (WARM_UP_S + JUDGED_S) / 60
        figures["growth of memory"] = f"not judged: the warm-up is not over; a run of {least:.0f} minutes tells it"
    elif figures["anonymous_mib per 10 min"] > soak.options.slope:
        faults.append(f"memory grows by {figures['anonymous_mib per 10 min']} MiB in 10 minutes")
    third = max(1, len(warm) // 3)
    for name in ("threads", "descriptors", "images"):
        first, last = (
            statistics.median_low([getattr(held, name) for _, held in part]) for part in (warm[:third], warm[-third:])
        )
        figures[name] = f"{first} to {last}"
        if last > first:
            faults.append(f"{name} grow from {first} to {last}")
    for camera, values in counts.items():
        fates = {fate: values[f"images {fate}"] for fate in FATES}
        received = values["images received"]
        missing = received - sum(fates.values()) - values["images at work"]
        figures[f"camera {camera}"] = {
            "received": values["images received"],
            **fates,
            "at work": values["images at work"],
        }
        if missing:
            faults.append(f"of {values['images received']} images of {camera} {missing} are in no count")
    log = soak.node.log()
    for word in ("Traceback", "Exception"):
        if word in log:
            faults.append(f"{log.count(word)} times {word} in the log")
    figures["log lines"] = log.count("\n")
    return {**figures, "faults": faults}


def main() -> int:
    """Run it; returns 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--hz", type=float, default=30.0, help="of each of two cameras")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=0.2, help="share of the time without slopes, 10 min at least")
    parser.add_argument("--slope", type=float, default=1.0, help="most growth of memory allowed [MiB in 10 min]")
    parser.add_argument("--no-kills", action="store_true")
    parser.add_argument("--real", action="store_true", help="the demo checkpoint, not a fake network")
    parser.add_argument("--log", type=Path, help="takes the node's output and the samples")
    options = parser.parse_args()
    parameters = {"cameras": list(CAMERAS), "network_timeout": 3.0}
    environment = {} if options.real else {"FAKE_BLOCKS": "4", "FAKE_BLOCK_S": "0.01"}
    with graph(
        REAL_NODE if options.real else FAKE_NODE, camera="left", parameters=parameters, environment=environment
    ) as (client, node):
        client.listen_to_outputs("segmentation", "label_image")
        client.diagnostic("node", lambda *_: True)
        soak = Soak(client, node, options)
        soak.run()
        figures = verdict(soak, soak.counts())
        if options.log:
            options.log.write_text("\n".join(f"{at_s:.0f} {held}" for at_s, held in soak.samples) + "\n" + node.log())
        status = node.interrupt(10.0)
        figures["exit status"] = status
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return int(bool(figures["faults"]) or status != 0)


if __name__ == "__main__":
    sys.exit(main())
