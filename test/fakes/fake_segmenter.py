"""One network for all tests: what it finds is a function, what it is asked is counted. Without ROS and torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from samlite_ros.errors import PhraseTooLongError
from samlite_ros.pixels.masks import mask_bounds_xyxy
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult

Find = Callable[[Frame, Prompt, DecodeOptions], PromptResult]


class Pace(NamedTuple):
    """What a pass takes where it may be interrupted; any other, and the node's warm-up, takes no time.

    Args:
        blocks, block_s: Parts of the image's pass, and what each takes [s].
        steps, step_s: The same of the decoding, however many prompts.
        busy: Each part burns its time and holds the interpreter, as the real network does; else it sleeps.
    """

    blocks: int = 1
    block_s: float = 0.0
    steps: int = 1
    step_s: float = 0.0
    busy: bool = False


AT_ONCE = Pace()


def found(
    prompt: Prompt,
    masks: Sequence[Mask] = (),
    scores: tuple[float, float] = (0.9, 0.9),
    presence: tuple[float, float] = (0.05, 0.95),
) -> PromptResult:
    """A result.

    Args:
        prompt: What was asked.
        masks: What was found.
        scores: The first thing's and the last one's.
        presence: Without masks, and with.
    """
    boxes = np.array([mask_bounds_xyxy(mask) for mask in masks], np.float32).reshape(-1, 4)
    falling = np.linspace(*scores, len(masks), dtype=np.float32)
    return PromptResult(prompt, presence[bool(masks)], falling, boxes, tuple(masks))


def find_nothing(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
    """Nothing, whatever it is asked."""
    return found(prompt)


def refuse_too_long(prompt: Prompt) -> None:
    """The prompt "toolong" does not fit the text encoder."""
    if prompt.text == "toolong":
        raise PhraseTooLongError(prompt.text, 40, 32)


class Seen:
    """What the network keeps of a frame; counted while it lives."""

    def __init__(self, owner: FakeSegmenter, frame: Frame) -> None:
        self.owner, self.frame = owner, frame
        owner.living += 1

    def __del__(self) -> None:
        self.owner.living -= 1


class FakeSegmenter:
    """A network of known answers; see `samlite_ros.segmenter.contract.Segmenter`.

    Args:
        find: What it finds of one prompt in one frame.
        model_id: Its name.
        pace: How long its passes take.
        interruptible: Whether it calls back within its passes.
        refuse: Called with each new prompt: raises where it cannot be embedded.
        keep: What of a frame is kept at the end of its pass; may raise.
        records: Keeps `calls`, which grow with every call; False where it runs for long.

    Attributes:
        calls: ("prompts", text ...), ("image", stamp) and ("segment", stamp, text ...), in their order.
        threads: Names of the threads that called.
        living: Image embeddings that somebody still has.
        at_block: Called with frame and number before each block.
        at_segment: Called with both embeddings before each decoding.
    """

    def __init__(
        self,
        find: Find = find_nothing,
        model_id: str = "fake",
        pace: Pace = AT_ONCE,
        interruptible: bool = True,
        refuse: Callable[[Prompt], None] = refuse_too_long,
        keep: Callable[[Frame], Frame] = lambda frame: frame,
        records: bool = True,
    ) -> None:
        self.find, self.model_id, self.pace, self.interruptible = find, model_id, pace, interruptible
        self.computes = "known answers"
        self.refuse, self.keep, self.records = refuse, keep, records
        self.at_block: Callable[[Frame, int], object] = lambda frame, block: None
        self.at_segment: Callable[[ImageEmbedding, PromptEmbedding], object] = lambda image, prompts: None
        self.calls: list[tuple[object, ...]] = []
        self.threads: set[str] = set()
        self.living = 0

    @property
    def embedded(self) -> list[int]:
        """Stamps of the images that it embedded [ns]."""
        return [call[1] for call in self.calls if call[0] == "image"]  # type: ignore[misc]

    @property
    def decoded(self) -> list[tuple[int, tuple[str, ...]]]:
        """Stamp [ns] and texts of each decoding."""
        return [(call[1], call[2:]) for call in self.calls if call[0] == "segment"]  # type: ignore[misc]

    def forget(self, camera: str) -> None:
        self._note("forget", camera)

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        self._note("prompts", *(prompt.text for prompt in prompts))
        for prompt in prompts:
            self.refuse(prompt)
        return PromptEmbedding(tuple(prompts), self.model_id, tuple(prompts))

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        self._note("image", frame.stamp_ns)
        for block in range(self.pace.blocks if self.interruptible and on_block and not _is_warm_up(frame) else 0):
            self.at_block(frame, block)
            on_block()
            self._take(self.pace.block_s)
        seen = Seen(self, self.keep(frame))
        return ImageEmbedding(frame.stamp_ns, frame.camera, frame.size, self.model_id, seen)

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        if not image.model_id == prompts.model_id == self.model_id:
            raise ValueError(f"image of {image.model_id!r}, prompts of {prompts.model_id!r}")
        self._note("segment", image.stamp_ns, *(prompt.text for prompt in prompts.prompts))
        self.at_segment(image, prompts)
        is_paced = self.interruptible and on_step and not _is_warm_up(image)
        for _ in range(self.pace.steps if is_paced else 0):
            on_step()
            self._take(self.pace.step_s)
        return [self.find(image.features.frame, p, o) for p, o in zip(prompts.features, options, strict=True)]

    def _note(self, *call: object) -> None:
        self.threads.add(threading.current_thread().name)
        if self.records:
            self.calls.append(call)

    def _take(self, seconds: float) -> None:
        if not self.pace.busy:
            time.sleep(seconds)
            return
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            pass


def _is_warm_up(image: Frame | ImageEmbedding) -> bool:
    return (image.stamp_ns, image.size) == (1, (480, 640))
