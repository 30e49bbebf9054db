"""A camera's stream whose network is the test itself."""

import threading
from dataclasses import dataclass

import numpy as np

from samlite_ros.errors import ImageDecodeError
from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions
from samlite_ros.streaming.stamps import Stamp
from samlite_ros.types import Frame, Prompt, PromptResult, Query, QueryKey, Vocabulary

DEADLINE_S = 20.0
OPTIONS = StreamingOptions(propagate=False)
VOCABULARY = Vocabulary(1, (Query(QueryKey("c", "q"), Prompt("ball"), 0),))


def frame(stamp_ns):
    return Frame(np.zeros((8, 8, 3), np.uint8), stamp_ns)


@dataclass(frozen=True)
class Damaged:
    """An image message that cannot be decoded."""


class Rig:
    """A stream worker whose network is the test itself; frames stand for image messages."""

    def __init__(self, options=OPTIONS, companions=None):
        self.listeners, self.published, self.failures, self.forgotten = True, [], [], 0
        self.pokes = 0
        self._condition = threading.Condition()
        self.stream = StreamWorker(
            "",
            options,
            self._decode,
            self,
            companions=companions,
            on_work=self._notify,
            on_answer=lambda answer: None,
            on_failure=self.failures.append,
        )
        self.stream.set_vocabulary(VOCABULARY)
        self.stream.set_active(True)
        self.stream.start()

    def wanted(self):
        return self.listeners

    def publish(self, answer, frame):
        if answer.stamp_ns == 666:
            raise RuntimeError("publisher broke")
        self.published.append((answer, frame))

    def forget(self):
        self.forgotten += 1

    def _decode(self, message, stamp_ns):
        if isinstance(message, Damaged):
            raise ImageDecodeError("damaged")
        return message

    def _notify(self):
        with self._condition:
            self.pokes += 1
            self._condition.notify_all()

    def wait_for(self, condition):
        with self._condition:
            assert self._condition.wait_for(condition, DEADLINE_S)

    def send(self, message):
        """Send an image and wait until it was looked at."""
        counters = self.stream.counters

        def seen():
            return self.stream.reuse.frames + counters.idle + counters.rejected + counters.repeated + counters.failures

        before = seen()
        self.stream.put_image(message, Stamp(getattr(message, "stamp_ns", 1)))
        self.wait_for(lambda: seen() > before)

    def take_job(self):
        jobs = []
        self.wait_for(lambda: jobs.append(self.stream.take_job()) or isinstance(jobs[-1], KeyframeJob))
        return jobs[-1]

    def answer(self, job):
        nothing = np.zeros(0, np.float32), np.zeros((0, 4), np.float32), ()
        results = tuple(PromptResult(prompt, 0.5, *nothing) for prompt in job.prompts)
        self.stream.deliver(KeyframeResult(job, results, "m"))
