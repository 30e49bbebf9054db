"""Where the network runs: in a process of its own, or in the node's."""

from __future__ import annotations

from collections.abc import Callable

from samlite_ros.network.host import NetworkHost
from samlite_ros.network.local import LocalNetwork, Network
from samlite_ros.segmenter.load import SegmenterFactory
from samlite_ros.segmenter.options import SegmenterOptions

THE_NODES = "the node's"


class NetworkPlace:
    """Makes networks, all in one place.

    Args:
        factory: Builds the segmenter.
        host: Has the same factory and runs it in a process of the network's own; None = in this process.
        warn: Writes a line.

    Attributes:
        lost_host: The host was there and has ended: the network runs in this process, where nothing can end it.
    """

    def __init__(self, factory: SegmenterFactory, host: NetworkHost | None, warn: Callable[[str], object]) -> None:
        self._factory, self._host, self._warn = factory, host, warn
        self.lost_host = False

    @property
    def has_process(self) -> bool:
        """The network runs in a process of its own."""
        return self._host is not None

    def make(self, options: SegmenterOptions) -> Network:
        """Load the network; on the network's thread.

        Raises:
            Exception: What the factory raises, see `NetworkHost.load`.
        """
        if self._host is None:
            return LocalNetwork(self._factory(options))
        if self._host.is_alive:
            return self._host.load(options)
        self._warn("what starts the network's process has ended: the network runs in the node's process")
        self._host, self.lost_host = None, True
        return LocalNetwork(self._factory(options))

    def end_network(self, why: str) -> bool:
        """Kill the network's process, whatever it does, for this reason; whoever waits for its answer gets an error.

        Returns:
            Whether it has a process.
        """
        if self._host is None:
            return False
        self._host.end_network(why)
        return True

    def end(self) -> None:
        """End the network's process, whatever it does; who waits for its answer gets an error."""
        if self._host is not None:
            self._host.close()

    def in_words(self, process_id: int | None) -> str:
        """`THE_NODES`, or the id of the network's own process; empty = there is none now."""
        if process_id is not None:
            return str(process_id)
        return "" if self.has_process else THE_NODES
