"""Time per frame for constant phrases, and for a late query: ours beside the peers', and beside the bound.

The bound is what the network's parts allow when every embedding is computed once: image + n x decode. The parts are
the reference's own (its decoder runs phrase by phrase), measured in the same turns as the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count as counter
from itertools import pairwise
from typing import NamedTuple

import torch

from samlite_ros.bench.figures import Figure, figure
from samlite_ros.bench.late_in_pass import late_phrase
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.peers import Peers
from samlite_ros.bench.timing import Sample, interleave
from samlite_ros.bench.workload import camera_frame, phrases, prompts, segmenter_options, waiting_for
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.segmenter.pytorch import load_backend
from samlite_ros.segmenter.pytorch.checkpoint import Checkpoint
from samlite_ros.segmenter.pytorch.decoder import decode
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.types import DecodeOptions, Frame, Prompt, PromptResult

Samples = Mapping[str, Sequence[Sample]]


PARTS = ("image", "decode", "text")
COLUMNS = ("whole model", "shared image", "ours", *PARTS)


class Round(NamedTuple):
    """Times of one round [s]; `image`, `decode` and `text` are the parts for one phrase."""

    whole_model: float
    shared_image: float
    ours: float
    image: float
    decode: float
    text: float

    def bound_s(self, count: int) -> float:
        """Least time for a frame when the image is embedded once and each phrase decoded as the reference does."""
        return self.image + count * self.decode

    def bound_of_gain(self, count: int) -> float:
        """Most that reuse can gain over the usual wrapper with the reference's parts."""
        return count * (self.image + self.decode + self.text) / self.bound_s(count)


class Sides:
    """The ways to answer one frame, over one loaded network.

    Args:
        segmenter: Ours.
        checkpoint: Its network; the peers' run the same weights.
        frame: The frame to answer.
        kept: Masks kept per phrase.
    """

    def __init__(self, segmenter: Segmenter, checkpoint: Checkpoint, frame: Frame, kept: int) -> None:
        self._segmenter = segmenter
        self._model = checkpoint.model
        self._frame = frame
        self._peers = Peers(checkpoint, kept)
        self._options = DecodeOptions(score_threshold=0.0, max_instances=kept)
        self._image = segmenter.embed_image(frame)
        self._text = segmenter.embed_prompts(prompts(1))
        self._unheard = counter()
        self.finish = waiting_for(checkpoint.device)

    def constant_phrases(self, count: int) -> dict[str, Callable[[], object]]:
        """The same phrases every frame: the peers' ways, ours, and the parts of the bound."""
        asked = phrases(count)
        self._segmenter.embed_prompts(prompts(count))  # constant phrases were embedded with an earlier frame
        return {
            "whole model": lambda: self._peers.whole_model(self._frame, asked),
            "ours": lambda: self.ours(prompts(count)),
            "shared image": lambda: self._peers.shared_image(self._frame, asked),
            **self.parts(),
        }

    def late_query(self) -> dict[str, Callable[[], object]]:
        """A phrase never seen before: over the image embedding that is there, and in a full pass."""
        return {
            "late query": lambda: self._segment_on_cached(Prompt(late_phrase(next(self._unheard)))),
            "full pass": lambda: self.ours([Prompt(late_phrase(next(self._unheard)))]),
        }

    def parts(self) -> dict[str, Callable[[], object]]:
        """The reference's image encoder with its resize, decoder for one phrase, and text encoder with its tokens."""
        return {"image": self._image_part, "decode": self._decode_part, "text": self._text_part}

    def ours(self, asked: Sequence[Prompt]) -> list[PromptResult]:
        """A new frame: one image embedding for all prompts, prompts from the bank."""
        image = self._segmenter.embed_image(self._frame)
        return self._segmenter.segment(image, self._segmenter.embed_prompts(asked), [self._options] * len(asked))

    def longest_block_s(self) -> float:
        """The longest time between two moments of a pass at which a late query is looked for [s]."""
        moments = [time.perf_counter()]
        self._segmenter.embed_image(self._frame, lambda: moments.append(time.perf_counter()))
        moments.append(time.perf_counter())
        return max(end - start for start, end in pairwise(moments))

    def _segment_on_cached(self, prompt: Prompt) -> list[PromptResult]:
        return self._segmenter.segment(self._image, self._segmenter.embed_prompts([prompt]), [self._options])

    @torch.inference_mode()
    def _image_part(self) -> object:
        return self._model.get_vision_features(self._peers.pixels(self._frame))

    @torch.inference_mode()
    def _decode_part(self) -> object:
        return decode(self._model, self._image.features, self._text.features[0])

    @torch.inference_mode()
    def _text_part(self) -> object:
        return self._model.get_text_features(**self._peers.tokens(phrases(1)[0]))


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every network of the options.

    Args:
        options: What to measure.
        on_step: Told what runs next.
    """
    figures: list[Figure] = []
    for model in options.models:
        on_step(f"{model}: loading")
        settings = segmenter_options(model, options)
        segmenter = Sam3LiteTextSegmenter(backend := load_backend(settings), settings)
        sides = Sides(segmenter, backend.checkpoint, camera_frame(), options.kept)
        figures += measure_frames(model, sides, options, on_step)
        on_step(f"{model}: late query")
        rounds = options.rounds_of(model)
        samples = interleave(_warm(sides.late_query()), rounds, finish=sides.finish)
        waits = [sides.longest_block_s() for _ in range(rounds)]
        figures += figures_of_late_query(model, samples, waits)
    return figures


def measure_frames(model: str, sides: Sides, options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """All numbers of phrases for one network; see `figures_of_frames`."""
    figures: list[Figure] = []
    for count in options.phrase_counts:
        row = f"{model}, {count} phrase{'s' if count > 1 else ''}"
        step = partial(_tell, on_step, row)
        samples = interleave(_warm(sides.constant_phrases(count)), options.rounds_of(model, count), step, sides.finish)
        figures += figures_of_frames(row, count, samples)
    return figures


def _tell(on_step: Callable[[str], object], row: str, side: str) -> None:
    on_step(f"{row}: {side}")


def figures_of_frames(row: str, count: int, samples: Samples) -> list[Figure]:
    """Time per frame of each way, the bound, and how we stand to both; by elapsed time and by CPU time.

    Args:
        row: Row of the tables.
        count: Number of phrases.
        samples: As `Sides.constant_phrases` names them; samples of one round are compared with each other.
    """
    figures = []
    for table, field in (("reuse", "wall_s"), ("reuse by CPU time", "cpu_s")):
        rounds = [Round(*(getattr(s, field) for s in one)) for one in zip(*(samples[n] for n in COLUMNS), strict=True)]
        name = f"{table}/{row}"
        figures += [
            figure(f"{name}/whole model", "s", [r.whole_model for r in rounds]),
            figure(f"{name}/shared image", "s", [r.shared_image for r in rounds]),
            figure(f"{name}/ours", "s", [r.ours for r in rounds]),
            figure(f"{name}/bound", "s", [r.bound_s(count) for r in rounds]),
            figure(f"{name}/gain", "times", [r.whole_model / r.ours for r in rounds]),
            figure(f"{name}/bound of gain", "times", [r.bound_of_gain(count) for r in rounds]),
            figure(f"{name}/gain over shared", "times", [r.shared_image / r.ours for r in rounds]),
            figure(f"{name}/overhead", "%", [100 * (r.ours / r.bound_s(count) - 1) for r in rounds]),
        ]
    return figures + [figure(f"parts/{row}/{part}", "ms", [1e3 * s.wall_s for s in samples[part]]) for part in PARTS]


def figures_of_late_query(model: str, samples: Samples, waits_s: Sequence[float]) -> list[Figure]:
    """A late query beside a full pass, and the longest that it waits for a pass that is running.

    Args:
        model: Row of the table.
        samples: As `Sides.late_query` names them.
        waits_s: As of `Sides.longest_block_s`.
    """
    name, late, full = f"late query/{model}", samples["late query"], samples["full pass"]
    pairs = list(zip(full, late, strict=True))
    return [
        figure(f"{name}/late query", "s", [q.wall_s for q in late]),
        figure(f"{name}/full pass", "s", [f.wall_s for f in full]),
        figure(f"{name}/sooner", "times", [f.wall_s / q.wall_s for f, q in pairs]),
        figure(f"{name}/sooner by CPU time", "times", [f.cpu_s / q.cpu_s for f, q in pairs]),
        figure(f"{name}/longest wait in a pass", "s", waits_s),
    ]


def _warm(sides: dict[str, Callable[[], object]]) -> dict[str, Callable[[], object]]:
    """The first call of each allocates and chooses kernels; run the cheap ones once."""
    for name, call in sides.items():
        if name in PARTS or name in ("ours", "late query"):
            call()
    return sides
