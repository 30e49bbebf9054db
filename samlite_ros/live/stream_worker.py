"""One camera's thread: takes the newest image, drives the streaming pipeline, publishes the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from samlite_ros.errors import ImageDecodeError
from samlite_ros.live.failure_log import described
from samlite_ros.live.locating import Locating
from samlite_ros.live.mailbox import Mailbox
from samlite_ros.streaming.budget import BudgetLoad
from samlite_ros.streaming.companions import Companions
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingCounters, StreamingOptions, StreamingPipeline
from samlite_ros.streaming.recall import Recalled, RecallJob
from samlite_ros.streaming.stamps import Stamp, StampOrder
from samlite_ros.streaming.turns import Busy
from samlite_ros.types import NO_STAMP, Frame, Prompt, PromptResult, Segmentation, Turn, Vocabulary

HANDOVER_S = 0.0005
"""A stream that always has a frame to answer stands back so long [s] where the network waits for a keyframe of it."""


class AnswerSink(Protocol):
    """Where a camera's answers go."""

    def wanted(self) -> bool:
        """Somebody listens."""
        ...

    def publish(self, answer: Segmentation, frame: Frame) -> None:
        """Send an answer and what is drawn from it; called on the stream's thread."""
        ...

    def forget(self) -> None:
        """Time begins anew."""
        ...


@dataclass
class StreamCounters:
    """Written by the stream's thread only, except `received` and `unstamped`.

    Args:
        received: Images that came while active.
        unstamped: Of these, images without a stamp of their driver's.
        idle: Images not looked at since nobody listens.
        rejected: Images that could not be decoded.
        last_rejection: Why, the last of them.
        repeated: Images with the stamp of the image before.
        flushes: Times that the stream was forgotten since time went back.
        answered: Answers published.
        inactive: Images that came while active, and were not answered before the node was deactivated.
        failures: Errors in the stream itself.
        failed_images: Images at which there was one.
        last_stamp_ns: Of the newest image.
        answer_age_ns: Of the newest answer: how much older its knowledge was than its frame [ns].
    """

    received: int = 0
    unstamped: int = 0
    idle: int = 0
    rejected: int = 0
    last_rejection: str = ""
    repeated: int = 0
    flushes: int = 0
    answered: int = 0
    inactive: int = 0
    failures: int = 0
    failed_images: int = 0
    last_stamp_ns: int = NO_STAMP
    answer_age_ns: int = 0


class StreamWorker:
    """Serves one camera; the network worker takes its jobs from it.

    Args:
        camera: Its name.
        options: How to stream.
        decode: Turns an image message and its time [ns] into a frame; raises ImageDecodeError.
        sink: Where answers go.
        companions: What belongs to the frames; None = nothing is looked for.
        locating: Finds the places of answers, with these companions; None = nobody does.
        on_work: Called when the network may find a job here.
        on_answer: Called with each published answer.
        on_recall: Called, on the network's thread, with what was found in a kept keyframe.
        on_failure: Called with what went wrong, in words.
    """

    def __init__(
        self,
        camera: str,
        options: StreamingOptions,
        decode: Callable[[Any, int], Frame],
        sink: AnswerSink,
        *,
        companions: Companions | None = None,
        locating: Locating | None = None,
        on_work: Callable[[], None],
        on_answer: Callable[[Segmentation], None],
        on_recall: Callable[[Recalled], None] = lambda found: None,
        on_failure: Callable[[str], None],
    ) -> None:
        self.camera = camera
        self.counters = StreamCounters()
        self._decode, self._sink = decode, sink
        self._companions, self._locating = companions, locating
        self._on_work, self._on_answer, self._on_failure = on_work, on_answer, on_failure
        self._on_recall = on_recall
        self._mailbox: Mailbox[tuple[Any, Stamp]] = Mailbox()
        self._pipeline = StreamingPipeline(options, camera)
        self._pipeline_lock = threading.Lock()  # the network's thread takes keyframes from it
        self._vocabulary = Vocabulary()
        self._vocabulary_lock = threading.Lock()
        self._active = False
        self._search_always = False
        self._listening = False
        self._keeps_network_waiting = False
        self._busy_since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"stream {camera}", daemon=True)

    @property
    def reuse(self) -> StreamingCounters:
        """How often each level of reuse helped."""
        return self._pipeline.counters

    @property
    def load(self) -> BudgetLoad:
        """What is asked of the time for decoding."""
        return self._pipeline.load

    @property
    def turns(self) -> dict[Prompt, Turn]:
        """How phrases take turns; empty where each pass decodes all."""
        return self._pipeline.turns

    @property
    def dropped(self) -> int:
        """Images that were replaced by newer ones before this thread could take them."""
        return self._mailbox.dropped

    @property
    def at_work(self) -> int:
        """Images that came and of which nothing is decided yet: at most 4."""
        return self._mailbox.waiting + (self._busy_since_s is not None) + self._pipeline.waiting

    @property
    def busy_s(self) -> float:
        """How long the thread has been at the image at hand [s]; 0 = there is none."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def fates(self) -> dict[str, int]:
        """What became of the images received, by name; with those at work they are as many as were received."""
        counters, reuse = self.counters, self.reuse
        return {
            "answered": counters.answered,
            "dropped for newer ones": self.dropped,
            "not wanted": counters.idle,
            "rejected": counters.rejected,
            "repeated": counters.repeated,
            "deactivated": counters.inactive,
            "failed": counters.failed_images,
            "superseded": reuse.superseded,
            "forgotten": reuse.forgotten,
            "unanswered": reuse.unanswered,
        }

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; returns whether it ended in time."""
        self._active = False
        self._mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def put_image(self, message: Any, stamp: Stamp) -> None:
        """Take an image message, while active.

        Args:
            message: What `decode` takes.
            stamp: When it was taken.
        """
        if self._active:
            self.counters.received += 1
            self.counters.unstamped += stamp.is_arrival
            self._mailbox.put((message, stamp))

    def put_companion(self, message: Any) -> None:
        """Take a message that belongs to a frame, while active: what `companions` read. It wakes who waits for it."""
        if self._active and self._companions is not None:
            self._companions.put(message)
            if self._locating is not None and self._locating.is_waiting:
                self._mailbox.post(self._locating.advance)

    def set_active(self, active: bool) -> None:
        """Answer images from now on, or no more."""
        self._active = active
        self._mailbox.post(self._reset)

    def set_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Search for these, from now on: a late query does not wait until the frame at hand is answered."""
        with self._vocabulary_lock:
            self._vocabulary = vocabulary
            self._pipeline.set_vocabulary(vocabulary)
        self._on_work()

    def set_options(self, options: StreamingOptions, search_always: bool) -> None:
        """Stream otherwise."""
        self._mailbox.post(lambda: self._set_options(options, search_always))

    def flush(self) -> None:
        """Forget all images: time jumped."""
        self._mailbox.post(self._flush)

    def take_job(self) -> KeyframeJob | Busy | None:
        """See `JobSource`. Never waits: while a frame is being answered there are only late queries."""
        late = self._take(StreamingPipeline.take_late_job)
        if late is not None:
            return late
        self._keeps_network_waiting = not self._pipeline_lock.acquire(blocking=False)
        if self._keeps_network_waiting:
            return Busy.ANSWERING
        try:
            return self._take(StreamingPipeline.take_job)
        finally:
            self._pipeline_lock.release()

    def take_late_job(self) -> KeyframeJob | None:
        """See `JobSource`."""
        return self._take(StreamingPipeline.take_late_job)

    def deliver(self, result: KeyframeResult) -> None:
        """See `JobSource`."""
        self._pipeline.note_done(result.job)
        self._mailbox.post(lambda: self._deliver(result))

    def abandon(self, job: KeyframeJob) -> None:
        """See `JobSource`."""
        self._mailbox.post(lambda: self._abandon(job))

    def take_recall(self, kept_ns: Sequence[int], most: int) -> RecallJob | None:
        """See `JobSource`."""
        return self._pipeline.take_recall(kept_ns, most) if self._active and self._listening else None

    def recalled(self, job: RecallJob, results: Sequence[PromptResult]) -> None:
        """See `JobSource`."""
        for found in self._pipeline.note_recall(job, results):
            self._on_recall(found)

    def _take(self, take: Callable[[StreamingPipeline], KeyframeJob | None]) -> KeyframeJob | None:
        """On the network's thread, which serves other cameras too: a failure here is this stream's own."""
        try:
            return take(self._pipeline) if self._active and self._listening else None
        except Exception as error:
            self._mailbox.post(partial(self._recover, described(error)))
            return None

    def _run(self) -> None:
        while (delivery := self._mailbox.take()) is not None:
            for command in delivery.commands:
                self._guarded(command)
            if delivery.item is not None:
                self._take_item(*delivery.item)
            self._on_work()
            if self._keeps_network_waiting:
                time.sleep(HANDOVER_S)

    def _take_item(self, message: Any, stamp: Stamp) -> None:
        if not self._active:
            self.counters.inactive += 1
            return
        self._busy_since_s = time.monotonic()
        failures = self.counters.failures
        self._guarded(partial(self._take_image, message, stamp))
        self.counters.failed_images += self.counters.failures - failures
        self._busy_since_s = None

    def _guarded(self, work: Callable[[], None]) -> None:
        """The stream lives on: what goes wrong is counted and told, and the pipeline starts afresh."""
        try:
            work()
        except Exception as error:
            self._recover(described(error))

    def _recover(self, failure: str) -> None:
        self.counters.failures += 1
        self._reset()
        with suppress(Exception):  # the thread lives on, whatever becomes of the line in the log
            self._on_failure(failure)

    def _take_image(self, message: Any, stamp: Stamp) -> None:
        if not self._somebody_listens():
            self.counters.idle += 1
            return
        verdict = stamp.after(self.counters.last_stamp_ns)
        try:
            if verdict in (StampOrder.NO_TIME, StampOrder.IMPOSSIBLE):
                raise ImageDecodeError(verdict.value)
            frame = self._decode(message, stamp.ns)
        except ImageDecodeError as error:
            self.counters.rejected += 1
            self.counters.last_rejection = str(error)
            self._on_failure(str(error))
            return
        if verdict is StampOrder.REPEATED:
            self.counters.repeated += 1
            return
        if verdict is StampOrder.OLDER:
            self._flush()
        self._step(frame)

    def _somebody_listens(self) -> bool:
        listening = self._search_always or self._sink.wanted()
        if self._listening and not listening:
            self._reset()
        self._listening = listening
        return listening

    def _step(self, frame: Frame) -> None:
        self.counters.last_stamp_ns = frame.stamp_ns
        if self._companions is not None and self._companions.expected:
            frame = self._companions.attach(frame)
        with self._pipeline_lock:
            answer = self._pipeline.step(frame)
        if self._keeps_network_waiting:
            self._on_work()
        self._publish(answer, frame)

    def _deliver(self, result: KeyframeResult) -> None:
        try:
            with self._pipeline_lock:
                answer = self._pipeline.deliver(result)
            self._publish(answer, result.job.frame)
        except Exception:
            self.counters.failed_images += not self._pipeline.options.propagate
            raise

    def _abandon(self, job: KeyframeJob) -> None:
        with self._pipeline_lock:
            self._pipeline.abandon(job)

    def _publish(self, answer: Segmentation | None, frame: Frame) -> None:
        if answer is None:
            return
        if not self._active:
            self.counters.inactive += 1
            return
        self._sink.publish(answer, frame)
        self.counters.answered += 1
        if answer.keyframe_stamp_ns != NO_STAMP:
            self.counters.answer_age_ns = answer.stamp_ns - answer.keyframe_stamp_ns
        self._on_answer(answer)
        if self._locating is not None:
            self._locating.add(answer, frame)

    def _set_options(self, options: StreamingOptions, search_always: bool) -> None:
        self._search_always = search_always
        if options == self._pipeline.options:
            return
        pipeline = StreamingPipeline(options, self.camera)
        with self._pipeline_lock, self._vocabulary_lock:
            self._pipeline.reset()  # what waits for an answer is forgotten, and counted so
            pipeline.counters = self._pipeline.counters
            pipeline.set_vocabulary(self._vocabulary)
            self._pipeline = pipeline

    def _flush(self) -> None:
        self.counters.flushes += 1
        self.counters.last_stamp_ns = NO_STAMP
        self._sink.forget()
        if self._companions is not None:
            self._companions.clear()
        if self._locating is not None:
            self._locating.clear()
        self._reset()

    def _reset(self) -> None:
        with self._pipeline_lock:
            self._pipeline.reset()
