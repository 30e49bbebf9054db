"""What the streaming benchmark measures; free of everything that takes seconds to import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")

SETS = ("development", "held-out")
"""Kinds of sequences, of `scenes.hard_sequences`."""
MAIN = "main"
VARIANTS = (MAIN, "imperfect keyframes", "gray images", "4 phrases", "8 phrases")
"""The same sequences made harder; see `accuracy`."""


@dataclass(frozen=True)
class StreamingBenchOptions:
    """What is measured.

    Args:
        seed: Of the sequences.
        profiles_ms: Time of a pass of one phrase [ms], one profile each.
        sets: Names of SETS.
        frames: Per sequence.
        variants: Names of VARIANTS.
        charge_s: Our work per frame that is charged to the virtual clock [s]; None = as measured. With a fixed one the
            figures are the same every time.
        refine: Carry shapes by corner points and the refiner, as the node does; False: as without `refine_masks`.
        backends, model: What computes the section `network`, in turns, as the node's parameters of these names.
    """

    seed: int = 0
    profiles_ms: tuple[float, ...] = (126.0, 250.0, 950.0)
    sets: tuple[str, ...] = SETS
    frames: int = 150
    variants: tuple[str, ...] = VARIANTS
    charge_s: float | None = None
    refine: bool = True
    backends: tuple[str, ...] = ("auto",)
    model: str = "demo"


@dataclass(frozen=True)
class FootageOptions:
    """What is measured on somebody's own footage.

    Args:
        video: A folder of sequences with label images, or a bag.
        truth: Of a bag; '' = `truth.json` in it.
        image_topic: Of a bag; '' = its only one.
        rate_hz: Of the sequences' frames [Hz]; None = what each says, else DAVIS'.
        frames: Per sequence, at most.
        profiles_ms: Time of a pass [ms], one profile each.
        border_px, miss: How the keyframes are spoilt; see `oracle.Imperfection`.
        charge_s, refine: As in `StreamingBenchOptions`.
        pictures: Folder for the pictures of the worst frames.
    """

    video: str
    truth: str = ""
    image_topic: str = ""
    rate_hz: float | None = None
    frames: int = 150
    profiles_ms: tuple[float, ...] = (126.0, 250.0, 950.0)
    border_px: float = 0.0
    miss: float = 0.0
    charge_s: float | None = None
    refine: bool = True
    pictures: str = "."


class Progress(Protocol):
    """Wraps the iteration over what is to be done, to show how far it is."""

    def __call__(self, items: Sequence[T], text: str, /) -> Iterable[T]:
        """The same items."""
