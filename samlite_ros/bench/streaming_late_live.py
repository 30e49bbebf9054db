"""Late queries with a real network, the node's own threads and its process for the network, in real time.

Everything is the node's but the graph: its network worker, the network's process, its stream worker, a camera at 30 Hz.
What each part took is noted in the same run, where it runs, so that the bound is that of these very passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import Pipe
from typing import Any

import numpy as np

from samlite_ros.bench.memory import in_new_process
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.streaming.late import Bound, Waits, late_row
from samlite_ros.bench.streaming_clips import RATE_HZ, pendulum
from samlite_ros.bench.workload import late_phrase, segmenter_options
from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.errors import SamliteError
from samlite_ros.live.network_worker import WARM_UP_PROMPT, NetworkWorker
from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.network.host import NetworkHost
from samlite_ros.network.local import Network
from samlite_ros.network.place import NetworkPlace
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, StreamSequence
from samlite_ros.segmenter import load_segmenter
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.stamps import Stamp
from samlite_ros.types import (
    DecodeOptions,
    Frame,
    ImageEmbedding,
    Prompt,
    PromptEmbedding,
    PromptResult,
    Query,
    QueryKey,
    Segmentation,
    Segmenter,
    Vocabulary,
)

MOST_QUERIES, LEAST_QUERIES, BUDGET_S = 40, 8, 240.0
"""As many queries as fit the time, between these numbers: the full-size network takes seconds for a pass."""
KEPT = 2
"""Masks of a phrase, whatever their score: random weights find nothing."""
LIMIT_S = 300.0
_ALWAYS = Prompt("object")


@dataclass(frozen=True)
class Call:
    """One decoding, on `time.perf_counter` [s], which all processes of Linux share.

    Args:
        prompts: What was decoded.
        late: The image had been decoded before.
        begins_s, ends_s: When.
    """

    prompts: tuple[Prompt, ...]
    late: bool
    begins_s: float
    ends_s: float


@dataclass(frozen=True)
class NewText:
    """A phrase was embedded for the first time, in so long [s]."""

    prompt: Prompt
    took_s: float


@dataclass(frozen=True)
class ImagePass:
    """An image was embedded; the longest time between two moments at which a late query is looked for [s]."""

    longest_block_s: float


Note = Call | NewText | ImagePass


class RecordingSegmenter(WrappedSegmenter):
    """A segmenter that tells when it does what. See `samlite_ros.types.Segmenter`.

    Args:
        inner: Does the work.
        tell: Takes the notes.
    """

    def __init__(self, inner: Segmenter, tell: Callable[[Note], None]) -> None:
        super().__init__(inner)
        self._tell = tell
        self._prompts: set[Prompt] = set()
        self._decoded_stamps: set[int] = set()

    def embed_prompts(self, prompts: Sequence[Prompt]) -> PromptEmbedding:
        """Tells how long each new phrase took."""
        began_s = time.perf_counter()
        text = self._inner.embed_prompts(prompts)
        if len(prompts) == 1 and prompts[0] not in self._prompts:
            self._prompts.add(prompts[0])
            self._tell(NewText(prompts[0], time.perf_counter() - began_s))
        return text

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """Tells its longest block."""
        blocks_s, began_s = [0.0], time.perf_counter()

        def between_blocks() -> None:
            nonlocal began_s
            blocks_s.append(time.perf_counter() - began_s)
            if on_block is not None:
                on_block()
            began_s = time.perf_counter()

        image = self._inner.embed_image(frame, between_blocks)
        self._tell(ImagePass(max(blocks_s)))
        return image

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """Tells when, and what."""
        began_s = time.perf_counter()
        results = self._inner.segment(image, prompts, options, on_step)
        late = image.stamp_ns in self._decoded_stamps
        self._decoded_stamps.add(image.stamp_ns)
        self._tell(Call(prompts.prompts, late, began_s, time.perf_counter()))
        return results


class Notes:
    """What a `RecordingSegmenter` told, in this process or in another one that was forked from it."""

    def __init__(self) -> None:
        self._reader, self._writer = Pipe(duplex=False)
        self._decodes: list[Call] = []
        self._texts_s: dict[Prompt, float] = {}
        self._longest_blocks_s: list[float] = []

    def tell(self, note: Note) -> None:
        """Take a note."""
        self._writer.send(note)

    def first_decode(self, prompt: Prompt, of_pass: bool = False) -> Call | None:
        """The first decoding of a phrase; or the first that was part of a full pass."""
        return next((c for c in self.decodes() if prompt in c.prompts and not (of_pass and c.late)), None)

    def decodes(self) -> list[Call]:
        """All decodings so far."""
        while self._reader.poll():
            note: Note = self._reader.recv()
            if isinstance(note, Call):
                self._decodes.append(note)
            elif isinstance(note, NewText):
                self._texts_s[note.prompt] = note.took_s
            else:
                self._longest_blocks_s.append(note.longest_block_s)
        return self._decodes

    def text_s(self, prompt: Prompt) -> float:
        """How long embedding a phrase took [s]."""
        return self._texts_s[prompt]

    def pass_s(self) -> float:
        """Median time from one full pass's end to the next one's [s]."""
        ends = [c.ends_s for c in self.decodes() if not c.late][-9:]
        return float(np.median(np.diff(ends))) if len(ends) > 1 else 0.0

    def bound(self) -> Bound:
        """Medians of what the parts took; of each pass its longest block."""
        decodes = [c.ends_s - c.begins_s for c in self.decodes() if c.late]
        texts = [s for prompt, s in self._texts_s.items() if prompt not in (_ALWAYS, WARM_UP_PROMPT)]
        return Bound(*(1e3 * float(np.median(v)) for v in (self._longest_blocks_s[1:], texts, decodes)))


class FirstMasks:
    """Where the stream's answers go: notes when a phrase is first seen in one. See `stream_worker.Outputs`."""

    def __init__(self) -> None:
        self.shown_s: dict[Prompt, float] = {}

    def wanted(self) -> bool:
        """Always."""
        return True

    def publish(self, answer: Segmentation, frame: Frame) -> None:
        """Look for phrases."""
        for instance in answer.instances:
            for match in instance.matches:
                self.shown_s.setdefault(match.query.prompt, time.perf_counter())

    def forget(self) -> None:
        """Nothing."""


class LiveStream:
    """The node's two workers around a network.

    Args:
        load: Gives the network.
    """

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load, self.outputs = load, FirstMasks()
        self._failures: list[str] = []
        self._epoch = 0
        self._stream = StreamWorker(
            "",
            StreamingOptions(propagate=True, max_mask_age_s=LIMIT_S),
            lambda frame, _: frame,
            self.outputs,
            on_work=self._poke_network,
            on_answer=lambda _: None,
            on_failure=self._failures.append,
        )
        self._network = NetworkWorker([self._stream], self._on_prompt, self._failures.append)
        self._wanted: tuple[Prompt, ...] = ()

    def ask(self, *prompts: Prompt) -> None:
        """Search for these: each is embedded first, as the node does it."""
        new = [p for p in prompts if p not in self._wanted]
        self._wanted = prompts
        if new:
            self._network.embed_prompts(new)
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

    def _on_prompt(self, prompt: Prompt, error: Exception | None) -> None:
        if error is not None:
            self._failures.append(str(error))
        self._tell()

    def _tell(self) -> None:
        self._epoch += 1
        queries = tuple(
            Query(QueryKey("bench", p.key), p, i, score_threshold=0.0, max_instances=KEPT)
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
        self._network.load(self._load).result()
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
            now_ns = time.monotonic_ns()
            self._stream.put_image(replace(frames[index % len(frames)], stamp_ns=now_ns), Stamp(now_ns))
            index += 1


def late_queries_live(model: str, seed: int, budget_s: float = BUDGET_S, least: int = LEAST_QUERIES) -> dict[str, Any]:
    """Ask a running network at random moments; see `late_row`.

    Each query is its own peer: waiting would have taken until the next full pass that it is part of, less what its late
    decoding held that up.

    Args:
        model: One of `options.MODEL_NAMES`.
        seed: Of the scene and the moments.
        budget_s: Time for it [s].
        least: So many queries are asked all the same.

    Returns:
        Its row; `process`: the network ran in a process of its own; pass_ms: a full pass.

    Raises:
        SamliteError: The network failed.
    """
    return in_new_process(_late_queries_live, model, seed, budget_s, least)


def _late_queries_live(model: str, seed: int, budget_s: float, least: int) -> dict[str, Any]:
    notes = Notes()

    def recording(_: object) -> Segmenter:
        return RecordingSegmenter(load_segmenter(segmenter_options(model, BenchOptions())), notes.tell)

    place = NetworkPlace(recording, NetworkHost.start(recording), warn=print)
    try:
        waits = _ask_at_random(LiveStream(partial(place.make, SegmenterOptions())), notes, seed, budget_s, least)
    finally:
        place.end()
    return {**late_row(waits, notes.bound()), "pass_ms": 1e3 * notes.pass_s(), "process": place.has_process}


def _ask_at_random(live: LiveStream, notes: Notes, seed: int, budget_s: float, least: int) -> list[Waits]:
    frames = [t.frame for t in pendulum(list(StreamSequence(DEVELOPMENT[0], seed, 60)))]
    rng = np.random.default_rng([22, seed])
    waits: list[Waits] = []
    until_s = time.monotonic() + budget_s
    with live.running(frames):
        live.ask(_ALWAYS)
        live.wait_for("the first pass", lambda: notes.first_decode(_ALWAYS) is not None)
        while len(waits) < MOST_QUERIES and (len(waits) < least or time.monotonic() < until_s):
            waits.append(_ask_late(live, notes, Prompt(late_phrase(len(waits))), float(rng.uniform())))
    return waits


def _ask_late(live: LiveStream, notes: Notes, prompt: Prompt, moment: float) -> Waits:
    """Ask at a moment of a pass, 0 to 1; wait for its masks and for the full pass; withdraw it."""
    time.sleep(moment * notes.pass_s())
    asked_s = time.perf_counter()
    live.ask(_ALWAYS, prompt)
    live.wait_for(f"the masks of {prompt.display!r}", lambda: notes.first_decode(prompt) is not None)
    live.wait_for(f"a full pass with {prompt.display!r}", lambda: notes.first_decode(prompt, of_pass=True) is not None)
    first, full = notes.first_decode(prompt), notes.first_decode(prompt, of_pass=True)
    live.ask(_ALWAYS)
    if first is None or full is None:
        raise SamliteError(f"the masks of {prompt.display!r} are gone")
    held_up_s = notes.text_s(prompt) + (first.ends_s - first.begins_s) if first.late else 0.0
    return Waits(
        1e3 * (first.ends_s - asked_s),
        1e3 * (live.outputs.shown_s.get(prompt, float("nan")) - asked_s),
        1e3 * (full.ends_s - asked_s - held_up_s),
    )
