"""A network that knows the truth of the frame it is shown, so that only streaming is judged; it can be made to err."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_bounds_xyxy, mask_from_array
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult, Query, QueryKey, Vocabulary

LEAST_AREA_PX = 60
"""The network does not find smaller things."""
SCORE = 0.9


@dataclass(frozen=True)
class Imperfection:
    """How a keyframe's truth is spoilt; the same for everybody who is shown that frame.

    Args:
        border_px: Borders are bent by so much, standard deviation [px].
        miss: Chance that a thing is overlooked in a keyframe.
    """

    border_px: float = 0.0
    miss: float = 0.0

    def apply(self, inside: NDArray[np.bool_], thing: int, stamp_ns: int) -> NDArray[np.bool_] | None:
        """The spoilt mask, bool (H, W); None = overlooked."""
        rng = np.random.default_rng([stamp_ns % (1 << 31), thing])
        if rng.random() < self.miss:
            return None
        if not self.border_px:
            return inside
        mask = inside.astype(np.uint8)
        distance = cv2.distanceTransform(mask, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3)
        coarse = rng.standard_normal((inside.shape[0] // 32 + 1, inside.shape[1] // 32 + 1)).astype(np.float32)
        bend = cv2.resize(coarse, (inside.shape[1], inside.shape[0]), interpolation=cv2.INTER_CUBIC)
        return np.asarray(distance + bend * (self.border_px / float(bend.std())) > 0)


PERFECT = Imperfection()
"""No errors at all."""


class OracleSegmenter:
    """The truth as a network; things are dealt out to the phrases 'thing 0', 'thing 1' ... by their ids.

    Args:
        truth: All frames of a sequence.
        phrase_count: Number of phrases.
        imperfection: How it errs.
    """

    model_id = "oracle"
    computes = "the truth"
    interruptible = False

    def __init__(
        self, truth: Sequence[TruthFrame], phrase_count: int = 1, imperfection: Imperfection = PERFECT
    ) -> None:
        self._ids = {t.frame.stamp_ns: t.ids for t in truth}
        self._phrase_count, self._imperfection = phrase_count, imperfection

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """Nothing but the prompts."""
        return PromptEmbedding(tuple(prompts), self.model_id, None)

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """The truth itself."""
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, self._known(frame))

    def forget(self, camera: str) -> None:
        """Nothing is kept."""

    def _known(self, frame: Frame) -> NDArray[np.uint8] | None:
        """The thing seen at each pixel, uint8 (H, W); None = an image that was never announced."""
        return self._ids.get(frame.stamp_ns)

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """The truth of that image; nothing where it is not known."""
        return [self._result(image, prompt) for prompt in prompts.prompts]

    def _result(self, image: ImageEmbedding, prompt: Prompt) -> PromptResult:
        masks = [] if image.features is None else self._masks(image.features, image.stamp_ns, prompt)
        boxes = np.array([mask_bounds_xyxy(mask) for mask in masks], np.float32).reshape(-1, 4)
        scores = np.full(len(masks), SCORE, np.float32)
        return PromptResult(prompt, SCORE if masks else 1 - SCORE, scores, boxes, tuple(masks))

    def _masks(self, ids: NDArray[np.uint8], stamp_ns: int, prompt: Prompt) -> list[Mask]:
        number = int(prompt.text.split()[1])
        found = self._found(ids, stamp_ns)
        return [mask for thing, mask in found.items() if thing % self._phrase_count == number]

    def masks_in(self, truth: TruthFrame) -> dict[int, Mask]:
        """What it finds in a frame, by thing, whatever is asked."""
        return self._found(truth.ids, truth.frame.stamp_ns)

    def _found(self, ids: NDArray[np.uint8], stamp_ns: int) -> dict[int, Mask]:
        things = [int(i) for i in np.unique(ids) if i]
        return {thing: mask for thing in things if (mask := self._mask(ids, thing, stamp_ns)) is not None}

    def _mask(self, ids: NDArray[np.uint8], thing: int, stamp_ns: int) -> Mask | None:
        inside = self._imperfection.apply(ids == thing, thing, stamp_ns)
        if inside is None or np.count_nonzero(inside) < LEAST_AREA_PX:
            return None
        return mask_from_array(inside)


def oracle_vocabulary(phrase_count: int = 1) -> Vocabulary:
    """The queries that the oracle understands."""
    return Vocabulary(
        1, tuple(Query(QueryKey("bench", f"thing {i}"), Prompt(f"thing {i}"), i) for i in range(phrase_count))
    )
