#!/usr/bin/env python3
"""A planner asks where the red ball is, and prints each answer. Run beside a samlite node, which may start later."""

from contextlib import suppress

from samlite_ros.client import PlannerClient, things_of

with suppress(KeyboardInterrupt), PlannerClient("planner") as planner:  # at the end the query is withdrawn
    planner.ask("red ball", id="target")
    print("red ball:", planner.wait_for_outcome("target", timeout_s=60.0))
    for answer in planner.answers():
        for thing in things_of(answer, "target"):
            at = thing.box.center.position
            print(f"{thing.matches[0].text} #{thing.track_id} at ({at.x:.0f}, {at.y:.0f}) px, {thing.confidence:.2f}")
        if not things_of(answer, "target"):
            outcome = planner.outcome("target")
            print(f"no red ball in this image: {outcome}, presence {outcome.presence:.2f}")
