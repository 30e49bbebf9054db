"""Footage with truth for every frame, read from a bag and a truth file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samlite_ros.bags.frames import choose_image_topics, read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import FrameKey
from samlite_ros.errors import FootageError
from samlite_ros.evaluation.truth.label_folders import LEAST_FRAMES, MOST_THINGS, labelled_frame, labels_of_masks
from samlite_ros.evaluation.truth.truth import AnnotatedFrame, Truth, read_truth
from samlite_ros.scenes.hard_sequences import TruthFrame

TRUTH_NAME = "truth.json"


@dataclass(frozen=True)
class LabelledBag:
    """One camera of a bag, with truth.

    Args:
        bag: The bag.
        truth: As `truth.read_truth` takes it.
        topic: Of its images; '' = the only one.
    """

    bag: Path
    truth: Path
    topic: str = ""

    @property
    def name(self) -> str:
        """The bag's own."""
        return self.bag.resolve().name

    def read(self, most: int | None = None) -> list[TruthFrame]:
        """The first `most` frames that truth knows; those it does not know are left out.

        Raises:
            BagError: The bag or the truth cannot be read, or the topic is not clear.
            FootageError: Fewer than two frames have truth, its size is another one, or it has too many things.
        """
        truth, things, out = read_truth(self.truth), _Things(), list[TruthFrame]()
        with BagReader(self.bag) as reader:
            cameras = choose_image_topics(reader, [self.topic] if self.topic else [])
            for decoded in read_frames(reader, index_bag(reader, list(cameras)), cameras):
                frame = decoded.frame
                if frame is None:
                    continue
                known = truth.frames.get(FrameKey(truth.camera_for(frame.camera), frame.stamp_ns))
                if known is None:
                    continue
                if known.size != frame.size:
                    raise FootageError(
                        f"{self.truth}: the truth of stamp {frame.stamp_ns} ns is of size {known.size}, its image of "
                        f"{frame.size}: expected the same size"
                    )
                out.append(labelled_frame(frame, things.ids(known, truth)))
                if len(out) == most:
                    break
        if len(out) < LEAST_FRAMES:
            raise FootageError(
                f"{self.bag}: {len(out)} of its frames have truth in {self.truth}: expected {LEAST_FRAMES} at least, "
                "of the same stamps"
            )
        return out


@dataclass
class _Things:
    """Numbers the things: by track id where truth knows it, else by phrase and place, which says nothing of identity.

    Args:
        known: Numbers so far.
    """

    known: dict[tuple[str, int], int] = field(default_factory=dict)

    def ids(self, frame: AnnotatedFrame, truth: Truth) -> NDArray[np.uint8]:
        """uint8 (H, W): the thing seen at each pixel; a thing that several phrases name is one."""
        masks = {}
        for phrase in sorted(truth.phrases):
            for place, instance in enumerate(frame.instances(phrase)):
                key = ("", instance.track_id) if instance.track_id else (phrase, place)
                masks[self.known.setdefault(key, len(self.known) + 1)] = instance.mask.full()
        if len(self.known) > MOST_THINGS:
            raise FootageError(f"truth knows more than {MOST_THINGS} things: expected at most so many")
        return labels_of_masks(masks, frame.size)
