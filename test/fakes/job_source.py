"""A camera's stream as the network's worker sees it, with a list of jobs."""

from concurrent.futures import Future

import numpy as np
from prompts import prompts

from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.types import DecodeOptions, Frame


class Source:
    """A stream with a list of jobs; what becomes of each is a future."""

    def __init__(self, camera=""):
        self.camera, self.may_have_late_job, self.is_busy = camera, False, False
        self.jobs, self.late_jobs = [], []
        self.fate: dict[int, Future] = {}

    def add(self, stamp_ns, phrase="ball", late=False):
        frame = Frame(np.zeros((4, 4, 3), np.uint8), stamp_ns, camera=self.camera)
        (self.late_jobs if late else self.jobs).append(KeyframeJob(frame, prompts(phrase), (DecodeOptions(),), late))
        fate = self.fate[stamp_ns, late] = Future()
        self.may_have_late_job |= late
        return fate

    def take_job(self):
        return self.jobs.pop(0) if self.jobs and not self.is_busy else None

    def take_late_job(self):
        job = self.late_jobs.pop(0) if self.late_jobs else None
        self.may_have_late_job = job is not None
        return job

    def deliver(self, result):
        self.fate[result.job.frame.stamp_ns, result.job.late].set_result(result)

    def abandon(self, job):
        self.fate[job.frame.stamp_ns, job.late].set_result(None)
