"""Constants of the stream as a whole: when a frame is worth the network's time, and how sure an answer is."""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.streaming.tuning.group import TuningGroup, bounded


@dataclass(frozen=True)
class KeyframeTuning(TuningGroup):
    """When the network gets a frame.

    Args:
        refresh_margin_s: Time for the last models to be learnt before the old ones are withdrawn [s]. Up: a still scene
            costs more passes. Down: masks may be withdrawn before their successors are there.
        latency_gain: Weight of the newest pass in the expected latency. Up: follows load sooner, trembles.
    """

    refresh_margin_s: float = bounded(0.3)
    latency_gain: float = bounded(0.3, 0, 1)


@dataclass(frozen=True)
class ConfidenceTuning(TuningGroup):
    """From the network's score to the confidence of a carried mask.

    Args:
        miss_factor: Confidence falls by it for each keyframe in which the network did not find the object again. Down:
            missed objects sink below other answers sooner.
        full_agreement: Share of agreeing template points in sight from which an object counts as consistent. Up: less
            confidence in changing light.
        least_consistency: What is left of the confidence where no template point agrees.
        least_freshness: What is left of it at the age at which masks are withdrawn.
    """

    miss_factor: float = bounded(0.8, 0, 1)
    full_agreement: float = bounded(0.7, 0.01, 1)
    least_consistency: float = bounded(0.5, 0, 1)
    least_freshness: float = bounded(0.5, 0, 1)
