"""The same with a real network in the loop, for information: its own errors are in both sides' figures."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.bench.streaming_run import error_ratio, mean_iou, run_sequence
from samlite_ros.bench.streaming_sequences import Difficulty, StreamSequence
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.streaming.runner import LatencyProfile
from samlite_ros.types import Query, QueryKey, Vocabulary

SEQUENCES = (Difficulty("pan", "pan"), Difficulty("cross", "cross"))
FRAMES = 90


def network_in_the_loop(model: str, seed: int, profiles_ms: Sequence[float]) -> dict[str, dict[str, float]]:
    """Both ways with a checkpoint instead of the oracle, asked for every thing by colour and shape.

    Args:
        model: Name or folder of the checkpoint.
        seed: Of the sequences.
        profiles_ms: Time of a pass [ms]; the virtual clock's, however long the network really takes here.
    """
    segmenter = load_segmenter(SegmenterOptions(model=model))
    rows = {}
    for profile_ms in profiles_ms:
        outcomes = []
        for number, difficulty in enumerate(SEQUENCES):
            sequence = StreamSequence(difficulty, 1000 + 10 * seed + number, FRAMES)
            network = segmenter, _ask_for_everything(sequence)
            profile = LatencyProfile.of_total_ms(profile_ms)
            outcomes.append(run_sequence(difficulty.name, list(sequence), profile, network=network))
        rows[f"{profile_ms:g}"] = {
            "iou_ours": mean_iou([o.ours for o in outcomes]),
            "iou_peers": mean_iou([o.peers for o in outcomes]),
            "error_ratio": error_ratio(outcomes),
        }
    return rows


def _ask_for_everything(sequence: StreamSequence) -> Vocabulary:
    phrases = sorted({f"{thing.colour} {thing.shape}" for thing in sequence.things})
    return Vocabulary(1, tuple(Query(QueryKey("bench", p), p, i, score_threshold=0.4) for i, p in enumerate(phrases)))
