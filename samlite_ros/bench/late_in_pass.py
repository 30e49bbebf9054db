"""How long a phrase that nobody asked for before waits, when it comes while a pass is running."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from string import ascii_lowercase

import numpy as np

from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.types import DecodeOptions, Frame, Prompt

_KEPT = DecodeOptions(0.0, 2)


def late_phrase(number: int) -> str:
    """A phrase that no one asked for before; another for each number."""
    letters = "".join(ascii_lowercase[number // 26**i % 26] for i in range(3))
    return f"violet cube {letters}"


@dataclass
class _Pass:
    """One pass, and the query that comes within it.

    Args:
        segmenter: Computes.
        last: The embedding that a late query is decoded over.
        comes_s: When it comes [s of the monotonic clock].
        phrase: What it asks.
    """

    segmenter: Sam3LiteTextSegmenter
    last: ImageEmbedding
    comes_s: float
    phrase: str
    waited_s: float = 0.0
    looks_s: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Between two parts: answer what has come meanwhile."""
        self.looks_s.append(time.monotonic())
        if not self.waited_s and self.looks_s[-1] >= self.comes_s:
            answer(self.segmenter, self.last, self.phrase)
            self.waited_s = time.monotonic() - self.comes_s
            self.looks_s.append(time.monotonic())


def answer(segmenter: Sam3LiteTextSegmenter, image: ImageEmbedding, phrase: str) -> None:
    """Embed a new phrase and decode it over an embedding."""
    segmenter.segment(image, segmenter.embed_prompts([Prompt(phrase)]), [_KEPT])


def measure_late(segmenter: Sam3LiteTextSegmenter, frame: Frame, rounds: int, seed: int = 0) -> dict[str, float]:
    """Queries that come at random moments of passes with four phrases [ms].

    Returns:
        p50 and p95 of the wait, from asking to masks; the longest part of a pass, medians over the passes; text and
        decoding alone, median.
    """
    rng, number = random.Random(seed), 0
    asked = segmenter.embed_prompts([Prompt(late_phrase(600 + i)) for i in range(4)])
    last = segmenter.embed_image(frame)
    waits, parts, alone = [], [], []
    duration_s = 0.0
    for turn in range(rounds + 1):
        number += 1
        began_s = time.monotonic()
        answer(segmenter, last, late_phrase(number))
        alone.append(time.monotonic() - began_s)
        number += 1
        began_s = time.monotonic()
        run = _Pass(segmenter, last, began_s + rng.random() * duration_s, late_phrase(number))
        image = segmenter.embed_image(frame, run.look)
        segmenter.segment(image, asked, [_KEPT] * 4, run.look)
        run.look()
        if turn and run.waited_s:  # the first one tells how long a pass takes; one that was shorter ends before a query
            waits.append(run.waited_s)
            parts.append(float(np.diff([began_s, *run.looks_s]).max()))
            last = image
        duration_s = time.monotonic() - began_s - run.waited_s
    shares = {f"wait p{share} [ms]": 1e3 * float(np.percentile(waits, share)) for share in (50, 95)}
    medians = {"longest part [ms]": parts, "text and decoding [ms]": alone[1:]}
    return {k: round(v, 2) for k, v in (shares | {k: 1e3 * float(np.median(v)) for k, v in medians.items()}).items()}
