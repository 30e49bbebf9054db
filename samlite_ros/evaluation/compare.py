"""Two results side by side: where do they differ, and what does that look like?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlite_ros.bags.results import FrameKey, ResultBag, find_answers
from samlite_ros.errors import BagError
from samlite_ros.evaluation.measures.matching import assign, iou_matrix
from samlite_ros.evaluation.pictures import Tile, draw_answer, find_images, save, sheet
from samlite_ros.evaluation.worst import spread
from samlite_ros.foreign.files import make_folder, write_text
from samlite_ros.pixels.masks import decode_rle, encode_rle, mask_from_array
from samlite_ros.types import NO_STAMP, Mask, Segmentation

REPORT_NAME, SHEET_NAME = "comparison.json", "worst_frames.jpg"
SAME_IOU = 0.5
"""Two masks that overlap at least so much are of the same thing."""


@dataclass(frozen=True)
class Difference:
    """How two answers to one frame and phrase differ.

    Args:
        only_a, only_b: Things that only one of them found.
        iou: Mean overlap of the things that both found; NaN = none.
        worth: only_a + only_b + 1 - IoU of each thing that both found: 0 = the same.
    """

    only_a: int
    only_b: int
    iou: float
    worth: float


@dataclass
class Comparison:
    """What two results say of the same frames.

    Args:
        differences: By frame and phrase, of frames that both answer and phrases that both searched.
        frames_a, frames_b: Frames that only one of them answers.
        phrases_a, phrases_b: Phrases that only one of them searched.
        faults: What is wrong with the bags, in words.
    """

    differences: dict[FrameKey, dict[str, Difference]]
    frames_a: list[FrameKey] = field(default_factory=list)
    frames_b: list[FrameKey] = field(default_factory=list)
    phrases_a: list[str] = field(default_factory=list)
    phrases_b: list[str] = field(default_factory=list)
    faults: tuple[str, ...] = ()

    def worst(self, count: int) -> list[tuple[FrameKey, float]]:
        """The frames that differ most, and by how much; those that are the same are left out."""
        sums = {key: sum(d.worth for d in by_phrase.values()) for key, by_phrase in self.differences.items()}
        ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        return [(key, worth) for key, worth in ranked if worth > 0][:count]

    def worst_apart(self, count: int) -> list[tuple[FrameKey, float]]:
        """Frames that differ most and lie apart; see `worst.spread`."""
        ranked = dict(self.worst(len(self.differences)))
        stamps = [key.stamp_ns for key in self.differences]
        return [(key, ranked[key]) for key in spread(list(ranked), max(stamps) - min(stamps), count)]


def compare(a: Path, b: Path) -> Comparison:
    """Compare two bags with answers.

    Raises:
        BagError: One cannot be read, or they have no frame in common.
    """
    stored, faults_a = _store(a)
    out = Comparison({})
    phrases_b: set[str] = set()
    with ResultBag(b) as bag:
        for answer, _ in bag.answers():
            key, masks_b = FrameKey(answer.camera, answer.stamp_ns), _masks_by_phrase(answer)
            phrases_b.update(masks_b)
            if key not in stored:
                out.frames_b.append(key)
                continue
            masks_a = {phrase: [m.unpack() for m in masks] for phrase, masks in stored[key].items()}
            out.differences[key] = {p: difference(masks_a[p], masks_b[p]) for p in masks_a if p in masks_b}
        out.faults = (*faults_a, *bag.reader.faults)
    if not out.differences:
        raise BagError(f"{a} and {b} have no answered frame in common")
    phrases_a = {phrase for by_phrase in stored.values() for phrase in by_phrase}
    out.frames_a = [key for key in stored if key not in out.differences]
    out.phrases_a, out.phrases_b = sorted(phrases_a - phrases_b), sorted(phrases_b - phrases_a)
    return out


class _PackedMask(NamedTuple):
    """A mask as run lengths, so that a long bag fits."""

    counts: NDArray[np.uint32]
    size: tuple[int, int]

    def unpack(self) -> Mask:
        return mask_from_array(decode_rle(self.counts, *self.size))


def _store(path: Path) -> tuple[dict[FrameKey, dict[str, list[_PackedMask]]], tuple[str, ...]]:
    """The masks of all answers, by frame and phrase; and what is wrong with the bag."""
    with ResultBag(path) as bag:
        stored = {
            FrameKey(answer.camera, answer.stamp_ns): {
                phrase: [_PackedMask(encode_rle(m), m.size) for m in masks]
                for phrase, masks in _masks_by_phrase(answer).items()
            }
            for answer, _ in bag.answers()
        }
        return stored, bag.reader.faults


def _masks_by_phrase(answer: Segmentation) -> dict[str, list[Mask]]:
    """Of every phrase that was searched by then, found or not."""
    masks: dict[str, list[Mask]] = {
        r.query.prompt.display: [] for r in answer.results if r.keyframe_stamp_ns != NO_STAMP
    }
    for instance in answer.instances:
        for phrase in dict.fromkeys(m.query.prompt.display for m in instance.matches):
            masks.setdefault(phrase, []).append(instance.mask)
    return masks


def difference(a: Sequence[Mask], b: Sequence[Mask]) -> Difference:
    """Compare what two answers say of one phrase in one frame."""
    ious = iou_matrix(a, b)
    pairs = ious[assign(ious)]
    same = pairs[pairs >= SAME_IOU]
    only_a, only_b = len(a) - len(same), len(b) - len(same)
    iou = float(same.mean()) if len(same) else float("nan")
    return Difference(only_a, only_b, iou, float(only_a + only_b + (1 - same).sum()))


def to_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as numbers.

    Returns:
        frames, frames_a, frames_b: in both, only in one. agreement: share of frames and phrases with the same things.
        phrases: {phrase: {pairs, only_a, only_b, mean_iou, differing_frames}}. worst: frames that differ most.
    """
    by_phrase: defaultdict[str, list[Difference]] = defaultdict(list)
    for differences in comparison.differences.values():
        for phrase, found in differences.items():
            by_phrase[phrase].append(found)
    everything = [d for found in by_phrase.values() for d in found]
    agreeing = sum(not d.only_a and not d.only_b for d in everything)
    return {
        "frames": len(comparison.differences),
        "frames_a": len(comparison.frames_a),
        "frames_b": len(comparison.frames_b),
        "phrases_a": comparison.phrases_a,
        "phrases_b": comparison.phrases_b,
        "agreement": round(agreeing / len(everything), 6) if everything else None,
        "phrases": {phrase: _phrase(found) for phrase, found in sorted(by_phrase.items())},
        "worst": [
            {"camera": key.camera, "stamp_ns": key.stamp_ns, "difference": round(worth, 6)}
            for key, worth in comparison.worst(len(comparison.differences))
        ],
    }


def _phrase(differences: Sequence[Difference]) -> dict[str, Any]:
    ious = [d.iou for d in differences if not np.isnan(d.iou)]
    return {
        "frames": len(differences),
        "only_a": sum(d.only_a for d in differences),
        "only_b": sum(d.only_b for d in differences),
        "mean_iou": round(float(np.mean(ious)), 6) if ious else None,
        "differing_frames": sum(bool(d.only_a or d.only_b) for d in differences),
    }


def table(content: Mapping[str, Any]) -> str:
    """What `to_json` gives, for people."""
    width = max(len(phrase) for phrase in [*content["phrases"], "phrase"])
    lines = [f"{'phrase':<{width}}  frames  differing  only in A  only in B  mean IoU"]
    for phrase, v in content["phrases"].items():
        iou = "-" if v["mean_iou"] is None else f"{v['mean_iou']:.4f}"
        counts = f"{v['frames']:6d}  {v['differing_frames']:9d}  {v['only_a']:9d}  {v['only_b']:9d}"
        lines.append(f"{phrase:<{width}}  {counts}  {iou:>8}")
    lines.append(
        f"{content['frames']} frames answered by both, {content['frames_a']} only by A, {content['frames_b']} only by B"
    )
    for key, name in (("phrases_a", "A"), ("phrases_b", "B")):
        if content[key]:
            lines.append(f"searched only by {name}: {', '.join(content[key])}")
    return "\n".join(lines)


def write_comparison(
    a: Path, b: Path, comparison: Comparison, folder: Path, worst: int, images: Path | None, topics: Sequence[str]
) -> int:
    """Write the numbers, and a sheet of the frames that differ most: A left, B right.

    Args:
        a, b: The bags.
        comparison: Of them.
        folder: Where to.
        worst: Number of frames on the sheet.
        images: A bag with the images; None = those in A and B, where they hold them.
        topics: See `pictures.find_images`.

    Returns:
        Number of frames on the sheet whose image no bag holds.
    """
    make_folder(folder)
    content = json.dumps(to_json(comparison), indent=1, allow_nan=False)
    write_text(folder / REPORT_NAME, content + "\n")
    ranked = comparison.worst_apart(worst)
    if not ranked:
        return 0
    keys = [key for key, _ in ranked]
    pixels = find_images([images] if images else [a, b], keys, topics)
    answers_a, answers_b = find_answers(a, keys), find_answers(b, keys)
    tiles = []
    for key, worth in ranked:
        image = pixels.get(key)
        tiles.append(Tile(f"A  {key.camera} {key.stamp_ns} ns", draw_answer(image, answers_a[key])))
        tiles.append(Tile(f"B  difference {worth:.2f}", draw_answer(image, answers_b[key])))
    save(folder / SHEET_NAME, sheet(tiles, columns=2))
    return len(keys) - len(pixels)
