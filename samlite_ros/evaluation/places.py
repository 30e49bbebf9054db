"""Positions in space against truth: distances of centres, and overlap of boxes, of the things of each phrase.

Truth tells them in the annotations of its COCO file: `position_m`, `box_center_m`, `box_size_m`, in the camera's
optical frame, as `samlite make-bag --depth` writes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from samlite_ros.bags.message_types import DETECTIONS_3D, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import FrameKey
from samlite_ros.errors import BagError, StampError
from samlite_ros.evaluation.truth.truth import AnnotatedFrame, PlacedThing, Truth
from samlite_ros.foreign.stamps import read_stamp_ns
from samlite_ros.queries import normalise_phrase

FARTHEST_M = 0.5
"""A detection that is farther from a true thing is of another one [m]."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A true thing with a place, and what was found of it.

    Args:
        distance_m: Of the true centre from the camera [m].
        error_m: Of the centre [m]; NaN = it was not found.
        iou: Of the boxes along the axes; NaN = it was not found.
    """

    distance_m: float
    error_m: float
    iou: float


def evaluate_places(reader: BagReader, truth: Truth, phrases: Collection[str]) -> dict[str, Any] | None:
    """Compare the detections in space of a result with truth.

    Args:
        reader: The result.
        truth: Of the recording.
        phrases: Those that were asked and are known to truth.

    Returns:
        By phrase and 'overall': things, found (share), error_p50_m, error_p95_m, error_p50_percent, error_p95_percent
        (of the distance), iou (mean of the boxes); None = one side tells no places.
    """
    topics = [t.name for t in reader.topics.values() if t.type_name == DETECTIONS_3D]
    if not topics or not any(a.place for frame in truth.frames.values() for a in frame.annotations):
        return None
    pairs: defaultdict[str, list[Pair]] = defaultdict(list)
    for key, found in _detections(reader, topics):
        frame = truth.frames.get(FrameKey(truth.camera_for(key.camera), key.stamp_ns))
        for phrase in phrases if frame is not None else ():
            pairs[phrase] += _matched(frame, phrase, found.get(phrase, []))  # type: ignore[arg-type]
    named = {phrase: made for phrase, made in sorted(pairs.items()) if made}
    return {
        **{p: _figures(made) for p, made in named.items()},
        "overall": _figures([x for m in named.values() for x in m]),
    }


def box_iou(one: tuple[NDArray[Any], NDArray[Any]], other: tuple[NDArray[Any], NDArray[Any]]) -> float:
    """Overlap of two boxes along the axes, each centre and size [m]; 0 to 1."""
    (c1, s1), (c2, s2) = one, other
    common = np.minimum(c1 + s1 / 2, c2 + s2 / 2) - np.maximum(c1 - s1 / 2, c2 - s2 / 2)
    inter = float(np.prod(np.maximum(common, 0)))
    union = float(np.prod(s1) + np.prod(s2)) - inter
    return inter / union if union > 0 else 0.0


def _detections(reader: BagReader, topics: Sequence[str]) -> Iterator[tuple[FrameKey, Mapping[str, list[PlacedThing]]]]:
    """Of each message: its camera and stamp, and what was found by phrase."""
    for message in reader.messages(topics):
        try:
            content = deserialize(message.data, DETECTIONS_3D, message.definition)
            stamp_ns = read_stamp_ns(content.header.stamp)
        except (BagError, StampError) as error:
            reader.add_fault(f"{reader.path}: {message.topic}: detections are damaged: {error}")
            continue
        found: defaultdict[str, list[PlacedThing]] = defaultdict(list)
        for detection in content.detections:
            for result in detection.results:
                place = _place_of(result.pose.pose.position, detection.bbox)
                found[normalise_phrase(result.hypothesis.class_id)].append(place)
        camera = message.topic.removesuffix("/detections_3d").rpartition("/")[2]
        yield FrameKey(camera, stamp_ns), found


def _place_of(position: Any, box: Any) -> PlacedThing:
    center, size = box.center.position, box.size
    return PlacedThing(*(np.array([v.x, v.y, v.z]) for v in (position, center, size)))


def _matched(frame: AnnotatedFrame, phrase: str, found: Sequence[PlacedThing]) -> list[Pair]:
    """Each true thing with what is nearest to it, each detection once."""
    true = [a.place for a in frame.annotations if a.phrase == phrase and a.place is not None]
    apart = np.array([[np.linalg.norm(t.position_m - f.position_m) for f in found] for t in true])
    chosen = {}
    if true and len(found):
        rows, columns = linear_sum_assignment(apart)
        chosen = {r: c for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if apart[r, c] <= FARTHEST_M}
    return [_pair(thing, found[chosen[n]] if n in chosen else None) for n, thing in enumerate(true)]


def _pair(true: PlacedThing, found: PlacedThing | None) -> Pair:
    distance_m = float(np.linalg.norm(true.position_m))
    if found is None:
        return Pair(distance_m, float("nan"), float("nan"))
    error_m = float(np.linalg.norm(true.position_m - found.position_m))
    boxes = ((t.box_center_m, t.box_size_m) for t in (true, found))
    return Pair(distance_m, error_m, box_iou(*boxes))


def _figures(pairs: Sequence[Pair]) -> dict[str, float | int | None]:
    found = [p for p in pairs if not np.isnan(p.error_m)]
    figures: dict[str, float | int | None] = {
        "things": len(pairs),
        "found": round(len(found) / len(pairs), 4) if pairs else None,
        "iou": round(float(np.mean([p.iou for p in found])), 4) if found else None,
    }
    for name, values in (
        ("m", [p.error_m for p in found]),
        ("percent", [100 * p.error_m / p.distance_m for p in found]),
    ):
        for share in (50, 95):
            figures[f"error_p{share}_{name}"] = round(float(np.percentile(values, share)), 5) if values else None
    return figures


def places_line(figures: Mapping[str, Any]) -> str:
    """Of one phrase or of all, in words."""
    if not figures["found"]:
        return f"none of {figures['things']} things found"
    return (
        f"{100 * figures['found']:.1f} % of {figures['things']} things found, centres off by "
        f"{figures['error_p50_percent']:.2f} % of the distance (p95 {figures['error_p95_percent']:.2f} %), "
        f"boxes overlap by {figures['iou']:.2f}"
    )
