"""What planners ask, as it comes from the middleware: looked at before it is unpacked, which takes time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.serialization import deserialize_message

from samlite_ros.foreign.limits import QUERY_BYTES, QUERY_SET_BYTES
from samlite_ros.foreign.words import cut, one_line, quoted
from samlite_ros.messages.cdr_head import CdrHead
from samlite_ros.messages.fill import message_class
from samlite_ros.messages.read import read_request, read_requests
from samlite_ros.messages.topics import QUERY, QUERY_SET, QUERY_TEXT, Topic
from samlite_ros.queries import TEXT_CLIENT, QueryRegistry, QueryRequest, QueryStatus, Refusal
from samlite_ros.types import QueryKey


class QueryInput:
    """Takes the messages of the topics with queries; used from the executor's thread.

    Args:
        registry: Where queries stand.
        now_ns: Tells the time [ns].
        on_change: Called after each message.
        tell: Writes a line about a subject, of a client, into the log, or keeps quiet; see `live.failure_log`.
    """

    def __init__(
        self,
        registry: QueryRegistry,
        now_ns: Callable[[], int],
        on_change: Callable[[], None],
        tell: Callable[[str, str, str], None],
    ) -> None:
        self._registry, self._now_ns, self._on_change, self._log = registry, now_ns, on_change, tell
        self.callbacks: dict[Topic, Callable[[bytes], None]] = {
            QUERY: lambda data: self._take(QUERY, self._on_query, data),
            QUERY_SET: lambda data: self._take(QUERY_SET, self._on_query_set, data),
            QUERY_TEXT: lambda data: self._take(QUERY_TEXT, self._on_query_text, data),
        }

    def _take(self, topic: Topic, read: Callable[[bytes], Sequence[QueryStatus]], data: bytes) -> None:
        try:
            self._tell(read(data))
        except Exception as error:  # of bytes that are no such message, in whichever library meets it
            self._log(topic.name, f"a message on {topic.name} cannot be read: {one_line(error)}", "")
        self._on_change()

    def _on_query(self, data: bytes) -> list[QueryStatus]:
        if len(data) > QUERY_BYTES:
            head = CdrHead(data)
            head.skip_header()
            return [self._refuse(QueryKey(head.text(), head.text()), len(data), QUERY_BYTES)]
        refusal = self._registry.apply(read_request(_unpacked(data, QUERY)), self._now_ns())
        return [] if refusal is None else [refusal]

    def _on_query_set(self, data: bytes) -> list[QueryStatus]:
        head = CdrHead(data)
        head.skip_header()
        client, count = head.text(), head.number()
        if len(data) > QUERY_SET_BYTES:
            return [self._refuse(QueryKey(client, ""), len(data), QUERY_SET_BYTES)]
        if count > self._registry.most_at_once:
            return [self._registry.refuse_set(client, count, self._now_ns())]
        message = _unpacked(data, QUERY_SET)
        return self._registry.replace_set(message.client, read_requests(message), self._now_ns())

    def _on_query_text(self, data: bytes) -> list[QueryStatus]:
        if len(data) > QUERY_SET_BYTES:
            return [self._refuse(QueryKey(TEXT_CLIENT, ""), len(data), QUERY_SET_BYTES)]
        text = _unpacked(data, QUERY_TEXT).data
        count = text.count(",") + 1
        if count > self._registry.most_at_once:
            return [self._registry.refuse_set(TEXT_CLIENT, count, self._now_ns())]
        return self._registry.replace_texts(TEXT_CLIENT, text.split(","), self._now_ns())

    def _refuse(self, key: QueryKey, size: int, most: int) -> QueryStatus:
        words = f"a message of {size:,} bytes, at most {most:,} are read"
        return self._registry.refuse(QueryRequest(key), Refusal.TEXT_TOO_LONG, words, self._now_ns())

    def _tell(self, refused: Sequence[QueryStatus]) -> None:
        for status in refused:
            who = f"query {quoted(status.key.id)} of client {quoted(status.key.client)}"
            subject = f"queries refused, {status.reason.name}"
            self._log(subject, f"{who} is refused: {cut(status.message)}", status.key.client)


def _unpacked(data: bytes, topic: Topic) -> Any:
    return deserialize_message(data, message_class(topic.type_name))
