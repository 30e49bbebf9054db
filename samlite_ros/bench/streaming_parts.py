"""What each part of the carrying is worth: the error without it."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.bench.streaming.both_ways import PARTS, Outcome, error_ratio, mean_iou, run_sequence, without
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.virtual.latency import LatencyProfile

Outcomes = dict[tuple[str, float], list[Outcome]]
"""By part that is left out and time of a pass [ms]."""


def run_without(part: str, name: str, truth: Sequence[TruthFrame], profile_ms: float, outcomes: Outcomes) -> None:
    """Run one sequence without one part, and note the outcome."""
    outcome = run_sequence(name, truth, LatencyProfile.of_total_ms(profile_ms), options=without(part))
    outcomes.setdefault((part, profile_ms), []).append(outcome)


def parts_rows(outcomes: Outcomes, profiles_ms: Sequence[float]) -> dict[str, dict[str, dict[str, float]]]:
    """By part and profile: the error over the usual way's, of all things and of those in sight, and the overlap."""
    return {
        part: {
            f"{profile_ms:g}": {
                "error_ratio": error_ratio(outcomes[part, profile_ms]),
                "error_ratio_visible": error_ratio(outcomes[part, profile_ms], whole_only=True),
                "iou_ours": mean_iou([o.ours for o in outcomes[part, profile_ms]]),
                "iou_ours_visible": mean_iou([o.ours for o in outcomes[part, profile_ms]], whole_only=True),
            }
            for profile_ms in profiles_ms
        }
        for part in PARTS
    }
