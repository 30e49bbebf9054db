"""A camera's stream as the network's worker sees it, with a list of jobs."""

from concurrent.futures import Future

import numpy as np
from prompts import prompts

from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.turns import Busy
from samlite_ros.types import DecodeOptions, Frame


class Source:
    """A stream with a list of jobs; what becomes of each is a future."""

    def __init__(self, camera=""):
        self.camera, self.is_busy = camera, False
        self.jobs, self.late_jobs = [], []
        self.fate: dict[int, Future] = {}

    def add(self, stamp_ns, *phrases, late=False):
        frame = Frame(np.zeros((4, 4, 3), np.uint8), stamp_ns, camera=self.camera)
        wanted = prompts(*phrases or ("ball",))
        (self.late_jobs if late else self.jobs).append(
            KeyframeJob(frame, wanted, (DecodeOptions(),) * len(wanted), late)
        )
        fate = self.fate[stamp_ns, late] = Future()
        return fate

    def take_job(self):
        if self.is_busy:
            return Busy.ANSWERING
        return self.jobs.pop(0) if self.jobs else None

    def take_late_job(self):
        return self.late_jobs.pop(0) if self.late_jobs else None

    def deliver(self, result):
        self.fate[result.job.frame.stamp_ns, result.job.late].set_result(result)

    def abandon(self, job):
        self.fate[job.frame.stamp_ns, job.late].set_result(None)
