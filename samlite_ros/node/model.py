"""The node's model: being loaded, loaded, let go; and what hangs in it is ended. On the executor's thread."""

from __future__ import annotations

from concurrent.futures import Future

from samlite_ros.live.network_worker import NetworkWorker
from samlite_ros.live.watchdog import Delay, Limits
from samlite_ros.network.place import NetworkPlace
from samlite_ros.node.console import in_words
from samlite_ros.node.spinning import Waits
from samlite_ros.segmenter.options import SegmenterOptions

GRACE_S = 5.0
"""What is overdue is ended by the watchdog; whoever waits for it waits so much longer at most [s]."""
RELEASE_S, END_S = 0.5, 4.0
"""A network that is let go may end what it does for so long [s]; then its process is ended, which takes so long [s]."""


class Model:
    """Loads the model and lets it go; nothing here waits on the executor's thread.

    Args:
        worker: The network's.
        place: Makes networks.
        waits: For other threads' work.

    Attributes:
        model_id: Of the loaded model; empty = there is none.
        failure: Why it could not be loaded, in words; empty = it could, or was not tried.
        delay: What takes too long now; None = nothing.
    """

    def __init__(self, worker: NetworkWorker, place: NetworkPlace, waits: Waits) -> None:
        self.model_id = self.failure = ""
        self.delay: Delay | None = None
        self._worker, self._place, self._waits = worker, place, waits
        self._loading: Future[str] | None = None

    @property
    def is_loading(self) -> bool:
        """It is being loaded, or was and nobody has taken it yet."""
        return self._loading is not None

    @property
    def process(self) -> str:
        """See `NetworkPlace.in_words`; empty = nothing is loaded."""
        return self._place.in_words(self._worker.process_id) if self.model_id else ""

    def begin(self, options: SegmenterOptions) -> Future[str]:
        """Load it, unless that is under way."""
        if self._loading is None:
            self._loading = self._worker.load(lambda: self._place.make(options))
        return self._loading

    async def loaded(self, options: SegmenterOptions, limits: Limits) -> str:
        """Load it and wait; returns why there is no use in going on, empty = `take` knows what came of it."""
        if await self._waits.until(self.begin(options), limits.load_s + GRACE_S):
            return ""
        return "since the model is still being loaded, in the node's own process, where that cannot be ended"

    def take(self) -> bool:
        """What came of loading, into `model_id` or `failure`; returns whether there is a model now."""
        loading, self._loading = self._loading, None
        if loading is None or not loading.done() or loading.cancelled():
            self.failure = "the model is not loaded yet"
            return False
        error = loading.exception()
        self.model_id, self.failure = ("", in_words(error)) if error is not None else (loading.result(), "")
        return error is None

    async def released(self) -> str:
        """Let it go and wait; returns why it cannot be, empty = it is gone."""
        unloading = self._worker.unload()
        if await self._waits.until(unloading, RELEASE_S):
            return ""
        ended = self._place.end_network("the model is let go")
        if ended and await self._waits.until(unloading, END_S):
            return ""
        if unloading.cancel():
            return "since the network is busy in the node's own process, where it cannot be ended"
        return ""

    def release(self) -> None:
        """Let it go when that is possible."""
        self._worker.unload()
        self.model_id = ""

    def watch(self, limits: Limits) -> None:
        """End what is overdue; `delay` says what takes too long."""
        self.delay = self._worker.watchdog.look(limits)
        if self.delay is not None and self.delay.overdue and not self._place.end_network(self.delay.message):
            self.delay = self.delay.without_end()
