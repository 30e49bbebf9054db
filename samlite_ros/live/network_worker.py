"""The only thread that touches the network: it loads the model, embeds prompts and images, and decodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from samlite_ros.errors import Cancelled, NetworkEndedError, NetworkError
from samlite_ros.live.commands import Commands
from samlite_ros.live.failure_log import described
from samlite_ros.live.job_source import JobSource
from samlite_ros.live.network_counters import NetworkCounters
from samlite_ros.live.recalling import Recalling
from samlite_ros.live.resting import RestingCameras
from samlite_ros.live.waiting_prompts import MOST_AT_ONCE, DistinctPrompts, WaitingPrompts
from samlite_ros.live.watchdog import Watchdog, Work
from samlite_ros.live.watched_network import WatchedNetwork, warm_up
from samlite_ros.network.local import Found, Network
from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult
from samlite_ros.streaming.ring import Memory
from samlite_ros.streaming.turns import Turns
from samlite_ros.types import Prompt

FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_LOAD_PAUSE_S = 0.1, 2.0, 30.0
"""After a failure the worker rests, doubling from the first pause to the longest [s]; loading costs more than a job."""
LOOK_S = 1.0
"""A worker without work looks so often [s] whether the network's process still runs."""


class NetworkWorker:
    """Serves all cameras in turn, each with its newest keyframe.

    Args:
        streams: Where jobs come from.
        on_prompt: Called on this worker's thread when a prompt was embedded (error None) or could not be.
        on_failure: Called on this worker's thread with what went wrong, in words.

    Attributes:
        counters: What it has done.
        watchdog: Knows how long it has been at what it does.
    """

    def __init__(
        self,
        streams: Sequence[JobSource],
        on_prompt: Callable[[Prompt, Exception | None], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.counters = NetworkCounters()
        self.watchdog = Watchdog()
        self._turns = Turns(streams)
        self._turn: tuple[JobSource, KeyframeJob] | None = None
        self._recalling = Recalling(streams)
        self._on_prompt = on_prompt
        self._on_failure = on_failure
        self._condition = threading.Condition()
        self._commands = Commands()
        self._waiting = WaitingPrompts()
        self._distinct = DistinctPrompts()
        self._poked = False
        self._stopping = False
        self._network: Network | None = None
        self._factory: Callable[[], Network] | None = None
        self._embeddings: dict[str, ImageEmbedding] = {}
        self._resting = RestingCameras()
        self._failures_in_a_row = 0
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    @property
    def process_id(self) -> int | None:
        """Of the network's own process; None where there is none."""
        network = self._network
        return None if network is None else network.pid

    @property
    def computes(self) -> str:
        """How and where the network computes, in words; empty where there is none."""
        network = self._network
        return "" if network is None else network.computes

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

    def load(self, factory: Callable[[], Network]) -> Future[str]:
        """Load the network on this worker's thread and warm it up; the future has the model's id.

        Where it runs in a process of its own, it is loaded again when that process ends by itself.
        """
        return self._post(lambda: self._load(factory))

    def unload(self) -> Future[None]:
        """Let the network and its memory go."""
        return self._post(self._unload)

    def embed_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Tell of these prompts when they are embedded, instead of those that still wait.

        A late query's prompt is embedded with the job that decodes it, the others as soon as the network can be
        interrupted.
        """
        with self._condition:
            self._poked = self._waiting.replace(prompts) or self._poked
            self._wake()

    def remember(self, memory: Memory) -> None:
        """Keep so much of the past from the next keyframe on."""
        self._recalling.memory = memory

    def poke(self) -> None:
        """A stream may have a job."""
        with self._condition:
            self._poked = True
            self._wake()

    def _post(self, work: Callable[[], Any]) -> Future[Any]:
        with self._condition:
            future = self._commands.post(work)
            self._wake()
        return future

    def _wake(self) -> None:
        """The worker looks for what is new, also within a pass; the caller has the condition."""
        self._condition.notify_all()
        network = self._network
        if network is not None:
            network.look()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(self._has_something, LOOK_S)
                self._poked = False
                if self._stopping:
                    break
            self._commands.run()
            try:
                self._check_process()
                self._work()
            except NetworkEndedError as error:
                self._lose(error)
            except Exception as error:  # nothing is known that raises here: the thread lives on nevertheless
                self._survive(described(error))
        self._unload()
        self._commands.cancel()

    def _has_something(self) -> bool:
        return self._stopping or self._poked or bool(self._commands) or self._is_lost()

    def _load(self, factory: Callable[[], Network]) -> str:
        self._unload()
        with self.watchdog.watching(Work.LOAD):
            network = factory()
            try:
                self.watchdog.guess(Work.PASS, warm_up(network, self._check_cancelled))
            except BaseException:
                network.close()
                raise
        self._network, self._factory = WatchedNetwork(network, self.watchdog), factory
        self.counters.reload_failure, self.counters.failing = "", 0
        return network.model_id

    def _unload(self) -> None:
        network, self._network, self._factory = self._network, None, None
        self._forget_all()
        if network is not None:
            network.close()

    def _forget_all(self) -> None:
        """What was kept of the cameras went with the network."""
        self._embeddings.clear()
        self._recalling.clear()
        self._recalling.tell(self.counters)
        self._resting.clear()
        self.counters.kept_bytes = 0

    def _is_lost(self) -> bool:
        """The network's process ended by itself, and it is to be loaded again."""
        return self._factory is not None and self._network is None

    def _check_process(self) -> None:
        """Notice that the network's process has ended, also where there is no work for it; load it again.

        Raises:
            NetworkEndedError: It has ended.
        """
        if self._network is not None:
            self._network.check()
        elif self._factory is not None:
            self._load_again(self._factory)

    def _load_again(self, factory: Callable[[], Network]) -> None:
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
            self.counters.reload_failure = failure
            self._tell_failure(failure)
            self._pause(LONGEST_LOAD_PAUSE_S)

    def _lose(self, error: NetworkEndedError) -> None:
        """The network's process has ended by itself."""
        self._network = None
        self._forget_all()
        self._tell_failure(f"{error}; it is started again")
        self._pause(LONGEST_LOAD_PAUSE_S)

    def _check_cancelled(self) -> None:
        """Within a pass: raise Cancelled where the node stops, or the model is to be let go or replaced."""
        if self._stopping or self._commands:
            raise Cancelled("the network is wanted for something else")

    def _work(self) -> None:
        """Whatever there is to do: late queries and new prompts, then a job of the camera whose turn it is."""
        network = self._network
        if network is None:
            if self._turn is not None:
                self._turn[0].abandon(self._turn[1])
                self._turn = None
            return
        if self._waiting.has_suspects:
            self._embed_waiting_prompts(network)
        for camera in self._resting.take():
            network.forget(camera)
            self._recalling.forget(camera)
            self.counters.kept_bytes *= not self._resting.all_rest  # else the next pass tells
        began_s = time.monotonic()
        turn, self._turn = self._turn, None
        ran = turn is None and self._run_late_jobs(network)
        self._embed_waiting_prompts(network)
        turn = turn or self._turns.next_job()
        if turn is not None:
            self._run_job(*turn, network)
        looked = (turn is None or self._recalling.may_hurry) and self._look_back(network, hurry=turn is not None)
        if ran or looked or turn is not None:
            self._poked = True  # look again before waiting
            self.counters.busy_s += time.monotonic() - began_s

    def _look_back(self, network: Network, hurry: bool) -> bool:
        """Look for prompts in one kept keyframe; what is better to do ends it. Returns whether there was something."""

        def within_look() -> None:
            self._check_cancelled()
            if self._poked:
                self._poked = False
                self._turn = next(self._turns.late_jobs(), None) if hurry else self._turns.next_job()
                if self._turn is not None or self._waiting.next_few():
                    raise Cancelled("there is something better to do")

        try:
            return self._recalling.look_back(network, within_look, hurry)
        except Cancelled:
            return True
        finally:
            self._recalling.tell(self.counters)

    def _within_pass(self) -> None:
        """Called between the parts of a pass: give way to commands, to late queries and to new prompts."""
        self._check_cancelled()
        network = self._network
        if network is not None and network.interruptible and self._poked:
            self._poked = False
            if self._run_late_jobs(network, within_pass=True):
                self._poked = True  # others may have come
            self._embed_waiting_prompts(network)

    def _run_late_jobs(self, network: Network, within_pass: bool = False) -> bool:
        """Run what can be decoded on an image that is embedded already; returns whether there was something."""
        ran = False
        for stream, job in self._turns.late_jobs():
            if within_pass and self._known_embedding(job) is None:
                stream.abandon(job)  # its image embedding was let go; a pass within a pass is not possible
            else:
                self._run_job(stream, job, network)
            ran = True
        return ran

    def _embed_waiting_prompts(self, network: Network) -> None:
        """Embed what no job has embedded; where that has ended the network's process, each prompt on its own."""
        while not self._stopping and (prompts := self._waiting.next_few()):
            try:
                refused = network.embed(prompts)
            except NetworkEndedError as error:
                if self._waiting.are_suspect(prompts):  # it was not its fault, unless it happens again
                    self._waiting.acquit(prompts)
                    self._tell_prompts(prompts, dict.fromkeys(prompts, error))
                self._waiting.suspect(prompts)
                raise
            self._waiting.acquit(prompts)
            self._tell_prompts(prompts, refused)
        self._waiting.acquit_all()

    def _tell_prompts(self, prompts: Iterable[Prompt], refused: Mapping[Prompt, Exception]) -> None:
        """Tell of those that were waited for that they are embedded, and of any that cannot be."""
        for prompt in self._waiting.take(prompts, refused):
            if prompt not in refused:
                self.counters.prompts_embedded = self._distinct.add(prompt)
            self._on_prompt(prompt, refused.get(prompt))

    def _run_job(self, stream: JobSource, job: KeyframeJob, network: Network) -> None:
        """Compute and deliver; what goes wrong becomes a count and a line, and the stream goes on."""
        failure = ""
        try:
            stream.deliver(self._compute(job, network))
        except Cancelled:
            stream.abandon(job)
            return
        except NetworkEndedError:
            stream.abandon(job)
            self._waiting.suspect(job.prompts)
            raise
        except Exception as error:
            failure = str(error) if isinstance(error, NetworkError) else described(error)
        if failure:  # outside of the except block: a traceback would hold the GPU's memory
            stream.abandon(job)
            self._embeddings.clear()
            self.counters.failing += 1
            self._tell_failure(failure)
            self._pause(LONGEST_PAUSE_S)
        else:
            self._failures_in_a_row = self.counters.failing = 0

    def _compute(self, job: KeyframeJob, network: Network) -> KeyframeResult:
        began_s, counters = time.monotonic(), self.counters
        found = self._find(job, network)
        self._embeddings[job.frame.camera] = found.image  # not before: late queries within the pass need the last one
        counters.encode_s, counters.decode_s = found.encode_s, time.monotonic() - began_s - found.encode_s
        counters.prompts_decoded += len(found.results)
        self._tell_prompts(job.prompts, found.refused)
        return KeyframeResult(job, tuple(found.results), network.model_id)

    def _find(self, job: KeyframeJob, network: Network) -> Found:
        known, began_s = self._known_embedding(job), time.monotonic()
        if known is None:
            found = network.search(job.frame, job.prompts, job.options, self._within_pass)
            self.counters.count_image(found.image)
            took_s = time.monotonic() - began_s
            self._recalling.note_pass(found.image, took_s, (took_s - found.encode_s) / max(len(job.prompts), 1))
            self._resting.use(job.frame.camera)
            self._recalling.tell(self.counters)
        else:
            self._embed_many(job.prompts, network)
            found = network.decode(known, job.prompts, job.options, self._check_cancelled)
            self.counters.late_jobs += 1
        return found

    def _embed_many(self, prompts: Sequence[Prompt], network: Network) -> None:
        """More prompts than clients should wait for before the first of them is told."""
        for first in range(0, len(prompts) if len(prompts) > MOST_AT_ONCE else 0, MOST_AT_ONCE):
            few = prompts[first : first + MOST_AT_ONCE]
            self._tell_prompts(few, network.embed(few))
            self._check_cancelled()

    def _known_embedding(self, job: KeyframeJob) -> ImageEmbedding | None:
        """Of a late job's image."""
        known = self._embeddings.get(job.frame.camera)
        return known if job.late and known is not None and known.stamp_ns == job.frame.stamp_ns else None

    def _tell_failure(self, failure: str) -> None:
        self.counters.failures += 1
        self.counters.last_failure = failure
        self._on_failure(failure)

    def _survive(self, failure: str) -> None:
        with suppress(Exception):
            self._tell_failure(failure)
        self._pause(LONGEST_PAUSE_S)

    def _pause(self, longest_s: float) -> None:
        """Rest after a failure, longer after each in a row; a command ends the pause."""
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self._failures_in_a_row, 16), longest_s)
        self._failures_in_a_row += 1
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or self._commands, pause_s)
