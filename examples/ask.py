#!/usr/bin/env python3
"""A planner asks where the red ball is, and prints each answer. Run beside a samlite node, which may start later."""

from contextlib import suppress
from math import isnan

from samlite_ros.client import PlannerClient, result_of, things_of

with suppress(KeyboardInterrupt), PlannerClient("planner") as planner:  # at the end the query is withdrawn
    planner.ask("red ball", id="target")
    print("asked; the first searches may take a while")
    print("red ball:", planner.wait_for_outcome("target", timeout_s=60.0))
    while planner.node.context.ok():
        for answer in planner.answers(timeout_s=5.0):
            for thing in things_of(answer, "target"):
                at = thing.box.center.position
                print(f"red ball #{thing.track_id} at ({at.x:.0f}, {at.y:.0f}) px, {thing.confidence:.2f}")
            result = result_of(answer, "target")
            if result and not things_of(answer, "target"):
                print(
                    "not searched yet"
                    if isnan(result.presence)
                    else f"no red ball here, presence {result.presence:.2f}"
                )
        print("no answer for 5 s:", planner.outcome("target"))
