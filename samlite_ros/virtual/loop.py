"""The event loop on the virtual clock: clients, cameras and one network, each event at its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from samlite_ros.space.locator import Located
from samlite_ros.streaming.answer import Published
from samlite_ros.types import Frame, Segmentation
from samlite_ros.virtual.latency import NEVER
from samlite_ros.virtual.network import VirtualNetwork, VirtualStream

News_co = TypeVar("News_co", covariant=True)


@dataclass(frozen=True, eq=False)
class PublishedAnswer(Published):
    """One answer with the frame that it answers, and where its things are; None = not known."""

    frame: Frame
    located: Located | None = None


class Clients(Protocol[News_co]):
    """Who asks, and what they are told besides the answers."""

    @property
    def next_ns(self) -> int:
        """When they ask for something next [ns]; NEVER = no more."""
        ...

    def ask(self, now_ns: int) -> None:
        """Ask for what is due now."""
        ...

    def update(self, now_ns: int) -> Iterable[News_co]:
        """Tell the pipelines what to search for, after every event; returns what is published of that."""
        ...

    def record(self, answer: Segmentation) -> None:
        """An answer is published."""
        ...


class VirtualLoop(Generic[News_co]):
    """Lets time pass from frame to frame.

    Args:
        streams: Of each camera by its name.
        network: Serves them all.
        clients: Who asks.

    Attributes:
        dropped_ns: Stamps of the frames that newer ones replaced before they were looked at [ns].
    """

    def __init__(
        self, streams: Mapping[str, VirtualStream], network: VirtualNetwork, clients: Clients[News_co]
    ) -> None:
        self.dropped_ns: list[int] = []
        self._streams, self._network, self._clients = streams, network, clients

    def take(self, frame: Frame, next_frame_ns: int = NEVER) -> Iterator[PublishedAnswer | News_co]:
        """Feed a frame; yields what is published until it is answered, in order.

        Args:
            frame: Not older than those before it.
            next_frame_ns: A stream that is still busy when the next one comes drops this one [ns].
        """
        stream = self._streams[frame.camera]
        start_ns = max(frame.stamp_ns, stream.free_ns)
        if start_ns >= next_frame_ns:
            self.dropped_ns.append(frame.stamp_ns)
            return
        yield from self.pass_until(start_ns)
        yield from self._clients.update(start_ns)
        answer, work_s = stream.step(frame, max(start_ns, stream.free_ns))
        if answer is not None:
            yield self._published(answer, frame, stream.free_ns, work_s)
        yield from self._use_network(stream.free_ns)

    def pass_until(self, until_ns: int) -> Iterator[PublishedAnswer | News_co]:
        """Let clients and network do what they do up to this time [ns], in order."""
        while (now_ns := self._next_ns) <= until_ns and now_ns != NEVER:
            asks = now_ns == self._clients.next_ns
            yield from self._event(now_ns)
            yield from self._use_network(now_ns, at_once=asks)

    def finish(self) -> Iterator[PublishedAnswer | News_co]:
        """Let the network end what it has begun."""
        while not self._network.is_free:
            yield from self._event(self._next_ns)

    @property
    def _next_ns(self) -> int:
        return min(self._clients.next_ns, self._network.next_ns)

    def _event(self, now_ns: int) -> Iterator[PublishedAnswer | News_co]:
        """Clients ask, or else the network has done something; whoever asks at the same time comes first."""
        if now_ns == self._clients.next_ns:
            self._clients.ask(now_ns)
        else:
            yield from self._advance_network(now_ns)
        yield from self._clients.update(now_ns)

    def _advance_network(self, now_ns: int) -> Iterator[PublishedAnswer]:
        ended = self._network.advance(now_ns)
        answer = ended.stream.deliver(ended.result, now_ns) if ended is not None else None
        if ended is not None and answer is not None:
            yield self._published(answer, ended.result.job.frame, now_ns, 0.0)

    def _use_network(self, now_ns: int, at_once: bool = False) -> Iterator[PublishedAnswer | News_co]:
        """Begin the next job while the network is free; without latency it ends at once."""
        while self._network.begin(now_ns, at_once) and self._network.ends_ns <= now_ns:
            yield from self._advance_network(now_ns)
            yield from self._clients.update(now_ns)

    def _published(self, answer: Segmentation, frame: Frame, at_ns: int, work_s: float) -> PublishedAnswer:
        self._clients.record(answer)
        return PublishedAnswer(answer, at_ns, work_s, frame)
