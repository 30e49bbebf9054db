"""What `reuse_tokens` does to answers: rendered scenes, every image passed with it and without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.workload import segmenter_options
from samlite_ros.pixels.masks import mask_from_array, mask_iou
from samlite_ros.scenes.render import Scene
from samlite_ros.scenes.sequence import OneMoves, Sequence, SequenceOptions
from samlite_ros.segmenter import load_segmenter
from samlite_ros.segmenter.contract import ImageEmbedding, Segmenter
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult

IMAGES, STEP = 20, 6
"""Images of each sequence, and frames of 30 Hz between them."""
SEEDS = range(300, 308)
"""No constant was chosen by them; some were by 100 to 107 and 200 to 207."""
_LEAST_AREA_PX = 48 * 48
"""Smaller things count neither for nor against, as in `samlite evaluate --scenes`."""
_FOUND_IOU = 0.5


@dataclass
class Tally:
    """Counts over images.

    Args:
        computed: Share of the tokens, one per image but the first of each sequence.
        ious: Of each mask of the whole pass, with the nearest of the other's.
        lost, extra: Masks that only the whole pass, only the other has.
        truth: Things seen.
        found: Of these, found by the whole pass and by the other.
        told: Masks of the whole pass and of the other.
    """

    computed: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    lost: int = 0
    extra: int = 0
    truth: int = 0
    found: list[int] = field(default_factory=lambda: [0, 0])
    told: list[int] = field(default_factory=lambda: [0, 0])

    def figures(self, name: str) -> list[Figure]:
        """One row."""
        recall, precision = (
            [100 * found / max(of, 1) for found, of in zip(self.found, counts, strict=True)]
            for counts in ([self.truth, self.truth], self.told)
        )
        values = {
            "tokens computed [%]": 100 * float(np.mean(self.computed)),
            "IoU with whole passes": float(np.mean(self.ious)),
            "masks": len(self.ious),
            "lost": self.lost,
            "extra": self.extra,
            "recall, whole [%]": recall[0],
            "recall, reused [%]": recall[1],
            "precision, whole [%]": precision[0],
            "precision, reused [%]": precision[1],
        }
        return row(f"token reuse/{name}", values)


def _gain_steps(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """The exposure steps by a tenth every fourth image."""
    gain = (1.0, 1.1, 1.0, 0.9)[number // 4 % 4]
    return np.asarray(np.rint(image * np.float32(gain)).clip(0, 255), np.uint8)


def _jpeg(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Compressed as cameras do it; noise makes it another file each time."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


def _shaken(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """A hand's shake of 10 px."""
    shift = np.array([[1, 0, 10 * np.sin(2.1 * number)], [0, 1, 10 * np.sin(3.3 * number + 1)]], np.float32)
    return np.asarray(cv2.warpAffine(image, shift, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


Spoil = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
CASES: dict[str, tuple[type[Sequence], Spoil]] = {
    "one thing moves": (OneMoves, lambda image, _: image),
    "one moves, gain steps": (OneMoves, _gain_steps),
    "one moves, JPEG": (OneMoves, _jpeg),
    "all things move": (Sequence, lambda image, _: image),
    "shaking camera": (OneMoves, _shaken),
}
"""All with the flicker (1 %) and noise (4 of 255) of the rendered camera."""


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """The demo network on every case, on scenes that no constant was chosen by."""
    figures: list[Figure] = []
    plain = replace(segmenter_options("demo", options), keep_text_encoder=True)
    sides = load_segmenter(plain), load_segmenter(replace(plain, reuse_tokens=True))
    for name in CASES:
        tally = Tally()
        for seed in SEEDS:
            on_step(f"token reuse: {name}, scene {seed}")
            compare(sides, name, seed, tally)
        figures += tally.figures(name)
    return figures


def compare(sides: tuple[Segmenter, Segmenter], case: str, seed: int, tally: Tally) -> None:
    """Pass one sequence through both.

    Args:
        sides: Without and with reuse.
        case: One of CASES.
        seed: Of the scene.
        tally: Is added to.
    """
    kind, spoil = CASES[case]
    sequence = kind("cross", seed, SequenceOptions(frames=IMAGES * STEP, count=5))
    phrases = sorted({f"{thing.colour} {thing.shape}" for thing in sequence.world.things})
    for number in range(IMAGES):
        scene = sequence[number * STEP]
        frame = Frame(spoil(scene.image, number), scene.stamp_ns, camera=f"{case} {seed}")
        images = [side.embed_image(frame) for side in sides]
        whole, reused = (_answers(side, image, phrases) for side, image in zip(sides, images, strict=True))
        if number:
            tally.computed.append(images[1].reuse.computed)
            _compare_masks(whole, reused, tally)
            if spoil is not _shaken:  # its truth would have to be shaken too
                _compare_with_truth(scene, phrases, (whole, reused), tally)
    sides[1].forget(f"{case} {seed}")


def _answers(side: Segmenter, image: ImageEmbedding, phrases: list[str]) -> list[PromptResult]:
    prompts = side.embed_prompts([Prompt(phrase) for phrase in phrases])
    return side.segment(image, prompts, [DecodeOptions()] * len(phrases))


def _compare_masks(whole: list[PromptResult], reused: list[PromptResult], tally: Tally) -> None:
    for one, other in zip(whole, reused, strict=True):
        best = [max((mask_iou(mask, m) for m in other.masks), default=0.0) for mask in one.masks]
        tally.ious += best
        tally.lost += sum(iou < _FOUND_IOU for iou in best)
        tally.extra += sum(
            max((mask_iou(mask, m) for m in one.masks), default=0.0) < _FOUND_IOU for mask in other.masks
        )


def _compare_with_truth(
    scene: Scene, phrases: list[str], answers: tuple[list[PromptResult], list[PromptResult]], tally: Tally
) -> None:
    seen: dict[str, list[Mask]] = {phrase: [] for phrase in phrases}
    for thing in scene.objects:
        if thing.area_px >= _LEAST_AREA_PX:
            seen[f"{thing.colour} {thing.shape}"].append(mask_from_array(scene.mask(thing.track_id)))
    tally.truth += sum(map(len, seen.values()))
    for side, results in enumerate(answers):
        for phrase, result in zip(phrases, results, strict=True):
            masks = [mask for mask in result.masks if mask.area >= _LEAST_AREA_PX]
            met = [max((mask_iou(thing, mask) for mask in masks), default=0.0) for thing in seen[phrase]]
            tally.found[side] += sum(iou >= _FOUND_IOU for iou in met)
            tally.told[side] += len(masks)
