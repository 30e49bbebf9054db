"""The one table of what `samlite bench streaming` measures.

Both ways run over the same sequences on a virtual clock: ours, which carries masks to every frame, and the
usual way, which shows the newest frame to the whole model and publishes when that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from samlite_ros.bench.figures import Figure
from samlite_ros.bench.streaming import accuracy, cost, late, network, parts, semireal, space, still, tokens
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions


class Section(NamedTuple):
    """One thing to measure.

    Args:
        text: What, and about how long it takes on two idle cores.
        run: Measures it.
        by_default: It is measured where nothing is chosen.
    """

    text: str
    run: Callable[[StreamingBenchOptions, Progress], list[Figure]]
    by_default: bool = True


SECTIONS = {
    "accuracy": Section(
        "overlap at every frame, also with imperfect keyframes, gray images, 4 and 8 phrases; 10 minutes", accuracy.run
    ),
    "semireal": Section(
        "pieces of photographs: blur, light, gloss, bending; beside rival ways; 3 minutes", semireal.run
    ),
    "still": Section("still scenes, and things that enter them; 2 minutes", still.run),
    "late": Section("late queries on the virtual clock; 2 minutes", late.run),
    "cost": Section("work per frame, alone and beside a running network; 2 minutes", cost.run),
    "network": Section(
        "the network itself, by each backend of --backend; 4 minutes a backend", network.run, by_default=False
    ),
    "space": Section("positions in space, both ways, and their cost; 3 minutes", space.run, by_default=False),
    "tokens": Section(
        "reuse_tokens under a still camera: passes, error at every frame; 3 minutes",
        tokens.run,
        by_default=False,
    ),
    "parts": Section("each part's worth, by leaving it out; 12 minutes", parts.run, by_default=False),
}
