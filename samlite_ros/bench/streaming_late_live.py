"""Late queries with a real network and the node's own threads, in real time.

Everything is the node's but the graph: its network worker, its stream worker, a camera at 30 Hz. What each part took is
noted in the same run, so that the bound is that of these very passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.streaming_clips import RATE_HZ, pendulum
from samlite_ros.bench.streaming_late import Bound, Waits, late_row
from samlite_ros.bench.streaming_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.bench.workload import late_phrase, segmenter_options
from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.errors import SamliteError
from samlite_ros.node.network_worker import NetworkWorker
from samlite_ros.node.stream_worker import StreamWorker
from samlite_ros.segmenter import load_segmenter
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.types import (
    DecodeOptions,
    Frame,
    ImageEmbedding,
    PhraseResult,
    Query,
    QueryKey,
    Segmentation,
    Segmenter,
    TextEmbedding,
    Vocabulary,
)

MOST_QUERIES, LEAST_QUERIES, BUDGET_S = 40, 8, 240.0
"""As many queries as fit the time, between these numbers: the full-size network takes seconds for a pass."""
KEPT = 2
"""Masks of a phrase, whatever their score: random weights find nothing."""
LIMIT_S = 300.0
_ALWAYS = "object"


@dataclass(frozen=True)
class Call:
    """One decoding, on `time.perf_counter` [s].

    Args:
        phrases: What was decoded.
        late: The image had been decoded before.
        begins_s, ends_s: When.
    """

    phrases: tuple[str, ...]
    late: bool
    begins_s: float
    ends_s: float


class RecordingSegmenter(WrappedSegmenter):
    """A segmenter that notes when it does what. See `samlite_ros.types.Segmenter`.

    Args:
        inner: Does the work.
    """

    def __init__(self, inner: Segmenter) -> None:
        super().__init__(inner)
        self.longest_blocks_s: list[float] = []
        self.texts_s: dict[str, float] = {}
        self.decodes: list[Call] = []
        self._decoded_stamps: set[int] = set()

    def embed_text(self, phrases: Sequence[str]) -> TextEmbedding:
        """Notes how long each new phrase took."""
        began_s = time.perf_counter()
        text = self._inner.embed_text(phrases)
        if len(phrases) == 1:
            self.texts_s.setdefault(phrases[0], time.perf_counter() - began_s)
        return text

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """Notes the longest time between two moments at which a late query is looked for."""
        blocks_s, began_s = [0.0], time.perf_counter()

        def between_blocks() -> None:
            nonlocal began_s
            blocks_s.append(time.perf_counter() - began_s)
            if on_block is not None:
                on_block()
            began_s = time.perf_counter()

        image = self._inner.embed_image(frame, between_blocks)
        self.longest_blocks_s.append(max(blocks_s))
        return image

    def segment(
        self,
        image: ImageEmbedding,
        text: TextEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PhraseResult]:
        """Notes when, and what."""
        began_s = time.perf_counter()
        results = self._inner.segment(image, text, options, on_step)
        late = image.stamp_ns in self._decoded_stamps
        self._decoded_stamps.add(image.stamp_ns)
        self.decodes.append(Call(text.phrases, late, began_s, time.perf_counter()))
        return results

    def first_decode(self, phrase: str, of_pass: bool = False) -> Call | None:
        """The first decoding of a phrase; or the first that was part of a full pass."""
        return next((c for c in tuple(self.decodes) if phrase in c.phrases and not (of_pass and c.late)), None)


class FirstMasks:
    """Where the stream's answers go: notes when a phrase is first seen in one. See `stream_worker.Outputs`."""

    def __init__(self) -> None:
        self.shown_s: dict[str, float] = {}

    def wanted(self) -> bool:
        """Always."""
        return True

    def publish(self, answer: Segmentation, frame: Frame) -> None:
        """Look for phrases."""
        for instance in answer.instances:
            for match in instance.matches:
                self.shown_s.setdefault(match.query.phrase, time.perf_counter())

    def forget(self) -> None:
        """Nothing."""


class LiveStream:
    """The node's two workers around a segmenter.

    Args:
        segmenter: The network.
    """

    def __init__(self, segmenter: RecordingSegmenter) -> None:
        self.segmenter, self.outputs = segmenter, FirstMasks()
        self._failures: list[str] = []
        self._epoch = 0
        self._stream = StreamWorker(
            "",
            StreamingOptions(propagate=True, max_mask_age_s=LIMIT_S),
            lambda frame: frame,
            self.outputs,
            on_work=self._poke_network,
            on_answer=lambda _: None,
            on_failure=self._failures.append,
        )
        self._network = NetworkWorker([self._stream], self._on_phrase, self._failures.append)
        self._wanted: tuple[str, ...] = ()

    def ask(self, *phrases: str) -> None:
        """Search for these: each is embedded first, as the node does it."""
        new = [p for p in phrases if p not in self._wanted]
        self._wanted = phrases
        if new:
            self._network.embed_phrases(new)
        else:
            self._tell()

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds.

        Raises:
            SamliteError: A worker failed, or it takes too long.
        """
        until_s = time.monotonic() + LIMIT_S
        while not condition():
            if self._failures:
                raise SamliteError(f"while waiting for {what}: {self._failures[0]}")
            if time.monotonic() > until_s:
                raise SamliteError(f"waited {LIMIT_S:.0f} s for {what}, in vain")
            time.sleep(0.001)

    def _poke_network(self) -> None:
        """On the stream's thread; the network's worker is made after the stream."""
        self._network.poke()

    def _on_phrase(self, phrase: str, error: Exception | None) -> None:
        if error is not None:
            self._failures.append(str(error))
        self._tell()

    def _tell(self) -> None:
        self._epoch += 1
        queries = tuple(
            Query(QueryKey("bench", p), p, i, score_threshold=0.0, max_instances=KEPT)
            for i, p in enumerate(self._wanted)
        )
        self._stream.set_vocabulary(Vocabulary(self._epoch, queries))

    @contextmanager
    def running(self, frames: Sequence[Frame]) -> Iterator[None]:
        """Run the workers and a camera that shows these frames over and over at 30 Hz, while the `with` block runs."""
        ended = threading.Event()
        camera = threading.Thread(target=self._film, args=(frames, ended), name="camera", daemon=True)
        self._stream.start()
        self._network.start()
        self._network.load(lambda: self.segmenter).result()
        self._stream.set_active(True)
        camera.start()
        try:
            yield
        finally:
            ended.set()
            camera.join()
            self._stream.stop(LIMIT_S)
            self._network.stop(LIMIT_S)

    def _film(self, frames: Sequence[Frame], ended: threading.Event) -> None:
        begins_s, index = time.monotonic(), 0
        while not ended.wait(max(begins_s + index / RATE_HZ - time.monotonic(), 0.0)):
            self._stream.put_image(replace(frames[index % len(frames)], stamp_ns=time.monotonic_ns()))
            index += 1


def late_queries_live(model: str, seed: int, budget_s: float = BUDGET_S) -> dict[str, Any]:
    """Ask a running network at random moments; see `late_row`.

    Each query is its own peer: waiting would have taken until the next full pass that it is part of, less what its late
    decoding held that up.

    Args:
        model: One of `options.MODEL_NAMES`.
        seed: Of the scene and the moments.
        budget_s: Time for it [s]; at least LEAST_QUERIES are asked all the same.

    Raises:
        SamliteError: The network failed.
    """
    segmenter = RecordingSegmenter(load_segmenter(segmenter_options(model, BenchOptions())))
    frames = [t.frame for t in pendulum(list(StreamSequence(DEVELOPMENT[0], seed, 60)))]
    live, rng = LiveStream(segmenter), np.random.default_rng([22, seed])
    waits: list[Waits] = []
    until_s = time.monotonic() + budget_s
    with live.running(frames):
        live.ask(_ALWAYS)
        live.wait_for("the first pass", lambda: segmenter.first_decode(_ALWAYS) is not None)
        while len(waits) < MOST_QUERIES and (len(waits) < LEAST_QUERIES or time.monotonic() < until_s):
            waits.append(_ask_late(live, late_phrase(len(waits)), float(rng.uniform())))
    return {**late_row(waits, _bound(segmenter)), "pass_ms": 1e3 * _pass_s(segmenter)}


def _ask_late(live: LiveStream, phrase: str, moment: float) -> Waits:
    """Ask at a moment of a pass, 0 to 1; wait for its masks and for the full pass; withdraw it."""
    segmenter = live.segmenter
    time.sleep(moment * _pass_s(segmenter))
    asked_s = time.perf_counter()
    live.ask(_ALWAYS, phrase)
    live.wait_for(f"the masks of {phrase!r}", lambda: segmenter.first_decode(phrase) is not None)
    live.wait_for(f"a full pass with {phrase!r}", lambda: segmenter.first_decode(phrase, of_pass=True) is not None)
    first, full = segmenter.first_decode(phrase), segmenter.first_decode(phrase, of_pass=True)
    live.ask(_ALWAYS)
    if first is None or full is None:
        raise SamliteError(f"the masks of {phrase!r} are gone")
    held_up_s = segmenter.texts_s[phrase] + (first.ends_s - first.begins_s) if first.late else 0.0
    return Waits(
        1e3 * (first.ends_s - asked_s),
        1e3 * (live.outputs.shown_s.get(phrase, float("nan")) - asked_s),
        1e3 * (full.ends_s - asked_s - held_up_s),
    )


def _pass_s(segmenter: RecordingSegmenter) -> float:
    """Median time from one full pass's end to the next one's [s]."""
    ends = [c.ends_s for c in tuple(segmenter.decodes) if not c.late][-9:]
    return float(np.median(np.diff(ends))) if len(ends) > 1 else 0.0


def _bound(segmenter: RecordingSegmenter) -> Bound:
    """Medians of what the parts took in this run; of each pass its longest block."""
    decodes = [c.ends_s - c.begins_s for c in segmenter.decodes if c.late]
    texts = [s for phrase, s in segmenter.texts_s.items() if phrase != _ALWAYS][1:]  # without the warm-up
    return Bound(*(1e3 * float(np.median(v)) for v in (segmenter.longest_blocks_s[1:], texts, decodes)))
