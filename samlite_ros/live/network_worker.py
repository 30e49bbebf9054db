"""The only thread that touches the network: it loads the model, embeds prompts and images, and decodes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from samlite_ros.errors import Cancelled, NetworkEndedError, NetworkError
from samlite_ros.live.failure_log import described
from samlite_ros.network.local import Found, search
from samlite_ros.network.protocol import FOLLOW_UP_S
from samlite_ros.network.remote import RemoteSegmenter
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult
from samlite_ros.streaming.turns import Stream, Turns
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, Prompt, Segmenter

WARM_UP_PROMPT = Prompt("thing")
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_LOAD_PAUSE_S = 0.1, 2.0, 30.0
"""After a failure the worker rests, doubling from the first pause to the longest [s]; loading costs more than a job."""
LOOK_S = 1.0
"""A worker without work looks so often [s] whether the network's process still runs."""


class JobSource(Stream, Protocol):
    """A camera's stream, seen from the network, which is poked when a busy one has answered its frame."""

    camera: str
    may_have_late_job: bool
    """Something has come since `take_late_job` last returned None: other queries, or another embedded image."""

    def deliver(self, result: KeyframeResult) -> None:
        """Take a job's result."""
        ...

    def abandon(self, job: KeyframeJob) -> None:
        """The job came to nothing."""
        ...


@dataclass
class NetworkCounters:
    """Written by the worker only.

    Args:
        prompts_embedded: Prompts that were asked of the text encoder or its bank.
        images_embedded: Passes of the image encoder.
        prompts_decoded: Prompts decoded over an image.
        late_jobs: Jobs decoded on an image that was embedded before.
        failures: Jobs that raised, and times that the network's process ended.
        reloads: Times that the network was loaded again since its process had ended.
        busy_s: Time spent with jobs [s].
        encode_s, decode_s: Of the last job [s].
        last_failure: In words.
    """

    prompts_embedded: int = 0
    images_embedded: int = 0
    prompts_decoded: int = 0
    late_jobs: int = 0
    failures: int = 0
    reloads: int = 0
    busy_s: float = 0.0
    encode_s: float = 0.0
    decode_s: float = 0.0
    last_failure: str = ""


class NetworkWorker:
    """Serves all cameras in turn, each with its newest keyframe.

    Args:
        streams: Where jobs come from.
        on_prompt: Called on this worker's thread when a prompt was embedded (error None) or could not be.
        on_failure: Called on this worker's thread with what went wrong, in words.
    """

    def __init__(
        self,
        streams: Sequence[JobSource],
        on_prompt: Callable[[Prompt, Exception | None], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.counters = NetworkCounters()
        self._streams, self._turns = tuple(streams), Turns(streams)
        self._on_prompt = on_prompt
        self._on_failure = on_failure
        self._condition = threading.Condition()
        self._commands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._prompts: dict[Prompt, None] = {}
        self._poked = False
        self._stopping = False
        self._segmenter: Segmenter | None = None
        self._factory: Callable[[], Segmenter] | None = None
        self._embeddings: dict[str, ImageEmbedding] = {}
        self._failures_in_a_row = 0
        self._suspect_prompt: Prompt | None = None
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    @property
    def process_id(self) -> int | None:
        """Of the network's own process; None where there is none."""
        segmenter = self._segmenter
        return segmenter.pid if isinstance(segmenter, RemoteSegmenter) else None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Cancel what runs and end the thread; returns whether it ended in time."""
        with self._condition:
            self._stopping = True
            self._wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def load(self, factory: Callable[[], Segmenter]) -> Future[str]:
        """Build the segmenter on this worker's thread and warm it up; the future has the model's id.

        Where it runs in a process of its own, it is built again when that process ends by itself.
        """
        return self._post(lambda: self._load(factory))

    def unload(self) -> Future[None]:
        """Let the segmenter and its memory go."""
        return self._post(self._unload)

    def embed_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Embed these prompts as soon as possible, instead of those that still wait."""
        with self._condition:
            self._prompts = dict.fromkeys(prompts)
            self._wake()

    def poke(self) -> None:
        """A stream may have a job."""
        with self._condition:
            self._poked = True
            self._wake()

    def _post(self, work: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._condition:
            self._commands.append((work, future))
            self._wake()
        return future

    def _wake(self) -> None:
        """The worker looks for what is new, also within a pass; the caller has the condition."""
        self._condition.notify_all()
        segmenter = self._segmenter
        if isinstance(segmenter, RemoteSegmenter):
            segmenter.look()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(self._has_something, LOOK_S)
                self._poked = False
                if self._stopping:
                    break
            self._run_commands()
            try:
                self._check_process()
                self._embed_waiting_prompts()
                self._run_next_job()
            except NetworkEndedError as error:
                self._lose(error)
        self._unload()
        self._cancel_commands()

    def _has_something(self) -> bool:
        embeddable = bool(self._prompts) and self._segmenter is not None
        return self._stopping or self._poked or bool(self._commands) or embeddable or self._is_lost()

    def _run_commands(self) -> None:
        while self._commands:
            work, future = self._commands.popleft()
            try:
                future.set_result(work())
            except Exception as error:  # whoever waits for the future reports it
                future.set_exception(error)

    def _cancel_commands(self) -> None:
        while self._commands:
            self._commands.popleft()[1].cancel()

    def _load(self, factory: Callable[[], Segmenter]) -> str:
        self._unload()
        segmenter = factory()
        try:
            self._warm_up(segmenter)
        except BaseException:
            _end(segmenter)
            raise
        self._segmenter, self._factory = segmenter, factory
        return segmenter.model_id

    def _warm_up(self, segmenter: Segmenter) -> None:
        prompts = segmenter.embed_prompts([WARM_UP_PROMPT])
        image = segmenter.embed_image(Frame(np.zeros((480, 640, 3), np.uint8), 1), self._check_cancelled)
        segmenter.segment(image, prompts, [DecodeOptions()])

    def _unload(self) -> None:
        segmenter, self._segmenter, self._factory = self._segmenter, None, None
        self._embeddings.clear()
        _end(segmenter)

    def _is_lost(self) -> bool:
        """The network's process ended by itself, and it is to be loaded again."""
        return self._factory is not None and self._segmenter is None

    def _check_process(self) -> None:
        """Notice that the network's process has ended, also where there is no work for it; load it again.

        Raises:
            NetworkEndedError: It has ended.
        """
        if isinstance(self._segmenter, RemoteSegmenter):
            self._segmenter.check()
        if self._segmenter is None and self._factory is not None:
            self._load_again(self._factory)

    def _load_again(self, factory: Callable[[], Segmenter]) -> None:
        failure = ""
        try:
            self._load(factory)
            self.counters.reloads += 1
        except Cancelled:  # its commands come first
            self._factory = factory
        except Exception as error:
            self._factory = factory
            failure = f"the network cannot be loaded again: {error}"
        if failure:
            self._tell_failure(failure)
            self._pause(LONGEST_LOAD_PAUSE_S)

    def _lose(self, error: NetworkEndedError) -> None:
        """The network's process has ended by itself."""
        self._segmenter = None
        self._embeddings.clear()
        self._tell_failure(f"{error}; it is started again")
        self._pause(LONGEST_LOAD_PAUSE_S)

    def _check_cancelled(self) -> None:
        """Within a pass: end it where nobody will want its result.

        Raises:
            Cancelled: The node stops, or the model is to be let go or replaced.
        """
        if self._stopping or self._commands:
            raise Cancelled("the network is wanted for something else")

    def _embed_waiting_prompts(self) -> bool:
        """Embed prompts that wait; returns whether there were any."""
        segmenter, any_done = self._segmenter, False
        while segmenter is not None and (prompt := self._next_prompt()) is not None:
            error: Exception | None = None
            try:
                segmenter.embed_prompts([prompt])
                self.counters.prompts_embedded += 1
                self._suspect_prompt = None
            except NetworkEndedError as raised:
                if prompt != self._suspect_prompt:  # not its fault, unless it happens again
                    self._suspect_prompt = prompt
                    self._requeue(prompt)
                    raise
                error = raised
            except Exception as raised:  # a worker lives on; whoever asked is told
                error = raised
            self._on_prompt(prompt, error)
            any_done = True
        return any_done

    def _next_prompt(self) -> Prompt | None:
        with self._condition:
            prompt = None if self._stopping else next(iter(self._prompts), None)
            if prompt is not None:
                del self._prompts[prompt]
            return prompt

    def _requeue(self, prompt: Prompt) -> None:
        with self._condition:
            self._prompts = {prompt: None, **self._prompts}

    def _run_next_job(self) -> None:
        segmenter = self._segmenter
        turn = None if segmenter is None else self._turns.next_job()
        if segmenter is None or turn is None:
            return
        began_s = time.monotonic()
        self._run_job(*turn, segmenter)
        self.counters.busy_s += time.monotonic() - began_s
        self._poked = True  # look again before waiting

    def _run_job(self, stream: JobSource, job: KeyframeJob, segmenter: Segmenter) -> None:
        """Compute and deliver; what goes wrong becomes a count and a line, and the stream goes on."""
        failure = ""
        try:
            stream.deliver(self._compute(job, segmenter))
        except Cancelled:
            stream.abandon(job)
            return
        except NetworkEndedError:
            stream.abandon(job)
            raise
        except Exception as error:
            failure = str(error) if isinstance(error, NetworkError) else described(error)
        if failure:  # outside of the except block: a traceback would hold the GPU's memory
            self._count_failure(stream, job, failure)
        else:
            self._failures_in_a_row = 0

    def _compute(self, job: KeyframeJob, segmenter: Segmenter) -> KeyframeResult:
        began_s = time.monotonic()
        known = self._embeddings.get(job.frame.camera)
        if job.late and known is not None and known.stamp_ns == job.frame.stamp_ns:
            self.counters.late_jobs += 1
            prompts = segmenter.embed_prompts(job.prompts)
            found = Found(known, segmenter.segment(known, prompts, job.options), 0.0)
        else:
            found = self._search(job, segmenter)
            self.counters.images_embedded += 1
        self._embeddings[job.frame.camera] = found.image  # not before: late queries within the pass need the last one
        counters = self.counters
        counters.encode_s, counters.decode_s = found.encode_s, time.monotonic() - began_s - found.encode_s
        counters.prompts_decoded += len(job.prompts)
        return KeyframeResult(job, tuple(found.results), segmenter.model_id)

    def _search(self, job: KeyframeJob, segmenter: Segmenter) -> Found:
        prompts = segmenter.embed_prompts(job.prompts)
        if isinstance(segmenter, RemoteSegmenter):
            return segmenter.search(job.frame, prompts, job.options, self._within_pass)
        return search(segmenter, job.frame, prompts, job.options, self._within_pass)

    def _within_pass(self) -> None:
        """Called between the parts of a pass: give way to commands, to new prompts and to late queries."""
        self._check_cancelled()
        if self._embed_waiting_prompts():
            self._wait_for_late_job()
        for stream, job in self._turns.late_jobs():
            self._run_late_job(stream, job)

    def _wait_for_late_job(self) -> None:
        with self._condition:
            self._condition.wait_for(
                lambda: self._stopping or any(s.may_have_late_job for s in self._streams), FOLLOW_UP_S
            )

    def _run_late_job(self, stream: JobSource, job: KeyframeJob) -> None:
        known = self._embeddings.get(stream.camera)
        if self._segmenter is not None and known is not None and known.stamp_ns == job.frame.stamp_ns:
            self._run_job(stream, job, self._segmenter)
        else:  # its image embedding was let go; a pass within a pass is not possible
            stream.abandon(job)

    def _count_failure(self, stream: JobSource, job: KeyframeJob, failure: str) -> None:
        stream.abandon(job)
        self._embeddings.clear()
        self._tell_failure(failure)
        self._pause(LONGEST_PAUSE_S)

    def _tell_failure(self, failure: str) -> None:
        self.counters.failures += 1
        self.counters.last_failure = failure
        self._on_failure(failure)

    def _pause(self, longest_s: float) -> None:
        """Rest after a failure, longer after each in a row; a command ends the pause."""
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self._failures_in_a_row, 16), longest_s)
        self._failures_in_a_row += 1
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or self._commands, pause_s)


def _end(segmenter: Segmenter | None) -> None:
    """End the segmenter's process, where it has one of its own."""
    if isinstance(segmenter, RemoteSegmenter):
        segmenter.close()
