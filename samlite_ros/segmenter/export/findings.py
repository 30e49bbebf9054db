"""Does an int8 export find what the float32 one finds? Judged by recall and presence of each phrase, never by features.

Features that look alike may mean something else, and rounding shifts meaning before masks look wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import ExportError
from samlite_ros.pixels.masks import mask_iou
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult

SAME_IOU = 0.5
"""Masks that overlap so much are of the same thing."""
PRESENT = 0.5
LEAST_RECALL, LEAST_MASK_IOU, MOST_PRESENCE = 0.99, 0.99, 0.01
PHRASE_LOSES = 0.1
"""Of its finds a phrase may lose so much, or one."""


@dataclass
class Findings:
    """How one phrase fared over all frames.

    Args:
        frames: That it was asked of.
        found: Things that float32 found.
        lost: Of these, those that int8 did not.
        extra: Things that only int8 found.
        flips: Frames of which the two disagree whether it is there.
        presence: Sum of how far the presence scores are apart.
        ious: Of masks of the same thing.
    """

    frames: int = 0
    found: int = 0
    lost: int = 0
    extra: int = 0
    flips: int = 0
    presence: float = 0.0
    ious: list[float] = field(default_factory=list)

    def add(self, wanted: PromptResult, got: PromptResult) -> None:
        """One frame."""
        ious = _pairs(wanted.masks, got.masks)
        self.frames += 1
        self.found += len(wanted.masks)
        self.lost += len(wanted.masks) - len(ious)
        self.extra += len(got.masks) - len(ious)
        self.flips += (wanted.presence > PRESENT) != (got.presence > PRESENT)
        self.presence += abs(float(wanted.presence) - float(got.presence))
        self.ious += ious


def compare_findings(
    wanted: Segmenter,
    got: Segmenter,
    frames: Sequence[NDArray[np.uint8]],
    phrases: Sequence[str],
    on_frame: Callable[[], object] = lambda: None,
) -> dict[str, Findings]:
    """What each finds, by phrase.

    Args:
        wanted, got: The float32 and the int8 network.
        frames: uint8 (H, W, 3), RGB; none that it was calibrated on.
        phrases: Some of which name what is there.
        on_frame: Called after each frame.
    """
    prompts = [Prompt(phrase) for phrase in phrases]
    found = {phrase: Findings() for phrase in phrases}
    for image in frames:
        answers = [_ask(segmenter, image, prompts) for segmenter in (wanted, got)]
        for phrase, one, other in zip(phrases, *answers, strict=True):
            found[phrase].add(one, other)
        on_frame()
    return found


def summary(findings: Mapping[str, Findings]) -> dict[str, float]:
    """Over all phrases, as the manifest keeps it.

    Returns:
        found, lost, extra; recall and mask_iou of what float32 finds; presence: mean distance of the scores;
        presence_flips: share of the questions; least_recall: of the phrase that loses most.
    """
    every = list(findings.values())
    found, questions = sum(f.found for f in every), sum(f.frames for f in every)
    ious = [iou for f in every for iou in f.ious]
    return {
        "found": found,
        "lost": (lost := sum(f.lost for f in every)),
        "extra": sum(f.extra for f in every),
        "recall": 1 - lost / max(found, 1),
        "least_recall": min((1 - f.lost / f.found for f in every if f.found), default=0.0),
        "mask_iou": float(np.mean(ious)) if ious else 0.0,
        "presence": sum(f.presence for f in every) / max(questions, 1),
        "presence_flips": sum(f.flips for f in every) / max(questions, 1),
    }


def check_findings(findings: Mapping[str, Findings]) -> None:
    """Refuse an int8 export that does not find what the float32 one finds.

    Raises:
        ExportError: A bound is broken, or there is nothing to judge by; says which and by how much.
    """
    all_of_it = summary(findings)
    if not all_of_it["found"]:
        raise ExportError(
            f"int8 cannot be judged: float32 finds none of {', '.join(map(repr, findings))} in the frames that are"
            " judged. Name what is in them with --phrases"
        )
    least = {"recall": LEAST_RECALL, "mask_iou": LEAST_MASK_IOU}
    most = {"presence": MOST_PRESENCE, "presence_flips": MOST_PRESENCE}
    broken = [f"{n} {all_of_it[n]:.4f} (at least {bound:g})" for n, bound in least.items() if not all_of_it[n] >= bound]
    broken += [f"{n} {all_of_it[n]:.4f} (at most {bound:g})" for n, bound in most.items() if not all_of_it[n] <= bound]
    broken += [
        f"{phrase!r} loses {f.lost} of {f.found}"
        for phrase, f in findings.items()
        if f.lost > max(1, PHRASE_LOSES * f.found)
    ]
    if broken:
        raise ExportError(
            f"the int8 export does not find what float32 finds ({all_of_it['found']:.0f} things): {', '.join(broken)}."
            " Calibrate it on more frames, such as the robot sees, or export it as fp16"
        )


def _ask(segmenter: Segmenter, image: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Sequence[PromptResult]:
    asked = segmenter.embed_prompts(prompts)
    return segmenter.segment(segmenter.embed_image(Frame(image, 0)), asked, [DecodeOptions()] * len(prompts))


def _pairs(wanted: Sequence[Mask], got: Sequence[Mask]) -> list[float]:
    """Overlaps of the masks that are of the same thing; each is of one thing at most."""
    free, ious = list(got), []
    for mask in wanted:
        overlaps = [mask_iou(mask, other) for other in free]
        if overlaps and max(overlaps) >= SAME_IOU:
            ious.append(max(overlaps))
            del free[int(np.argmax(overlaps))]
    return ious
