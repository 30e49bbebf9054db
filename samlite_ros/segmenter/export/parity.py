"""Does an export compute what the checkpoint computes? Measured on frames, for every number of phrases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import ExportError
from samlite_ros.segmenter.backend import Backend
from samlite_ros.segmenter.upsample import upsample_mask
from samlite_ros.types import Prompt

KEPT = 4
"""Masks of so many best queries of each phrase are compared."""
ADMITTED = 0.5
"""A query of this score is found."""


@dataclass(frozen=True, eq=False)
class _Answer:
    """Of one phrase over one frame: all queries' scores and boxes [px], the masks of `kept`."""

    scores: NDArray[np.float32]
    presence: float
    boxes: NDArray[np.float32]
    kept: NDArray[np.int64]
    masks: tuple[NDArray[np.bool_], ...]


@dataclass(frozen=True)
class Bounds:
    """What an export of one precision may differ by.

    Args:
        score: Of any query.
        box_px: Of any edge of the box of a query that is found [px of the frame].
        mask_iou: Least mean IoU of the masks of queries that are found.
        all_queries: The last two hold for the best queries of each phrase, found or not.
    """

    score: float
    box_px: float
    mask_iou: float
    all_queries: bool


_SAME = Bounds(1e-4, 0.05, 0.999, True)
BOUNDS = {"fp32": _SAME, "fp16": Bounds(0.05, 8.0, 0.99, False), "int8": _SAME}
"""fp32 is the same network, int8 before it is rounded. Rounding changes what is nowhere found more than what is, and
matters less there."""


class Reference:
    """What torch says in float32, asked before the network is changed for its export.

    Args:
        backend: The checkpoint's.
        frames: uint8 (H, W, 3), RGB.
        prompts: As many as are decoded at most.
        on_phrase: Called after each phrase.
    """

    def __init__(
        self,
        backend: Backend,
        frames: Sequence[NDArray[np.uint8]],
        prompts: Sequence[Prompt],
        on_phrase: Callable[[], object] = lambda: None,
    ) -> None:
        self.frames, self.prompts = frames, prompts
        features = backend.encode_prompts(prompts)
        self.answers: list[list[_Answer]] = []
        for frame in frames:
            image = backend.encode_image(frame)
            answers = []
            for one in features:
                answers += _ask(backend, frame, image, [one], None)
                on_phrase()
            self.answers.append(answers)

    def compare(self, backend: Backend, on_count: Callable[[], object] = lambda: None) -> dict[str, dict[str, float]]:
        """Largest differences of another backend, by number of phrases decoded at once."""
        features = backend.encode_prompts(self.prompts)
        images = [backend.encode_image(frame) for frame in self.frames]
        found = {}
        for count in range(1, len(self.prompts) + 1):
            pairs: list[tuple[_Answer, _Answer]] = []
            for frame, image, wanted in zip(self.frames, images, self.answers, strict=True):
                first = len(self.prompts) - count  # another mixture each time
                kept = [answer.kept for answer in wanted[first:]]
                pairs += zip(wanted[first:], _ask(backend, frame, image, features[first:], kept), strict=True)
            found[str(count)] = _differences(pairs)
            on_count()
        return found


def check(parity: Mapping[str, Mapping[str, float]], precision: str) -> None:
    """Refuse an export that is not its checkpoint.

    Raises:
        ExportError: A bound is broken; says which, by how much, and for how many phrases.
    """
    bounds = BOUNDS[precision]
    for count, found in parity.items():
        limits = {"score": bounds.score, "presence": bounds.score, "box_px": bounds.box_px}
        least = {"mask_iou": bounds.mask_iou}
        if bounds.all_queries:
            limits["any_box_px"], least["any_mask_iou"] = bounds.box_px, bounds.mask_iou
        broken = [f"{n} {found[n]:.3g} (at most {bound:g})" for n, bound in limits.items() if not found[n] <= bound]
        broken += [f"{n} {found[n]:.5f} (at least {bound:g})" for n, bound in least.items() if not found[n] >= bound]
        if broken:
            raise ExportError(f"the {precision} export is not the checkpoint: with {count} phrases {', '.join(broken)}")


def _ask(
    backend: Backend,
    frame: NDArray[np.uint8],
    image: object,
    features: Sequence[object],
    kept: Sequence[NDArray[np.int64]] | None,
) -> list[_Answer]:
    """`kept` None = the best of each."""
    found = backend.propose(image, features)
    chosen = kept or [np.argsort(-row, kind="stable")[:KEPT].astype(np.int64) for row in found.scores]
    logits = backend.draw_masks(image, found, chosen)
    size = frame.shape[:2]
    scale = np.array([size[1], size[0], size[1], size[0]], np.float32)
    return [
        _Answer(
            found.scores[i],
            float(found.presence[i]),
            found.boxes_xyxy[i] * scale,
            chosen[i],
            tuple(upsample_mask(mask, (size[0], size[1])).full() for mask in logits[i]),
        )
        for i in range(len(features))
    ]


def _differences(pairs: Sequence[tuple[_Answer, _Answer]]) -> dict[str, float]:
    every = [_Mask(*parts) for pair in pairs for parts in _masks(*pair)]
    found = [mask for mask in every if mask.score >= ADMITTED]
    return {
        "score": max(float(np.abs(a.scores - b.scores).max()) for a, b in pairs),
        "presence": max(abs(a.presence - b.presence) for a, b in pairs),
        "box_px": max((mask.box_px for mask in found), default=0.0),
        "mask_iou": float(np.mean([mask.iou for mask in found])) if found else 1.0,
        "least_mask_iou": min((mask.iou for mask in found), default=1.0),
        "any_box_px": max(mask.box_px for mask in every),
        "any_mask_iou": float(np.mean([mask.iou for mask in every])),
    }


class _Mask(NamedTuple):
    """One query whose mask was drawn by both: the checkpoint's score, and how far apart they are."""

    score: float
    box_px: float
    iou: float


def _masks(one: _Answer, other: _Answer) -> Iterator[tuple[float, float, float]]:
    for place, query in enumerate(one.kept):
        box_px = float(np.abs(one.boxes[query] - other.boxes[query]).max())
        yield float(one.scores[query]), box_px, _iou(one.masks[place], other.masks[place])


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
