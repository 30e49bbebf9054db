"""Who asked for what, and when: from a script file, from the command line, or from the queries in a bag."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from samlite_ros.bags.index import BagIndex
from samlite_ros.bags.message_types import QUERY_SET, STRING, TEXT_QUERY, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage
from samlite_ros.errors import BagError, ParameterError, StampError
from samlite_ros.foreign.limits import QUERY_SET_BYTES
from samlite_ros.foreign.stamps import checked_ns
from samlite_ros.foreign.words import quoted, quoted_names
from samlite_ros.messages.read import read_request, read_requests
from samlite_ros.parameters.yaml_file import read_yaml
from samlite_ros.queries import TEXT_CLIENT, Action, Asked, QueryRequest, text_requests
from samlite_ros.types import QueryKey

COMMAND_CLIENT, SCRIPT_CLIENT = "command", "script"
"""Clients of the phrases on the command line, and of script entries that name none."""
KEYS = (
    *("at", "action", "client", "id", "text", "score_threshold", "mask_threshold"),
    *("max_instances", "lifetime", "max_rate", "priority", "cameras"),
)
_ACTIONS = {"add": Action.ADD, "replace": Action.ADD, "remove": Action.REMOVE, "clear": Action.CLEAR}
_MAX_SECONDS = 2**31 - 1
"""What a Duration message holds."""


def ask_from_start(client: str, phrases: Sequence[str], start_ns: int) -> list[Asked]:
    """Phrases that a client wants to be searched from the first frame on."""
    requests = text_requests(client, phrases)
    return [Asked(start_ns, tuple(requests), client)] if requests else []


def read_script(path: Path, start_ns: int) -> list[Asked]:
    """Read a script: a list of entries, each with a time.

    Args:
        path: YAML: `- {at: 2.5, action: add, client: planner, id: cup, text: red cup, lifetime: 10}`. `at` is in
            seconds after the first frame; `action` is add (the default; also replaces), replace, remove or clear; the
            other keys are those of TextQuery, times in seconds.
        start_ns: Stamp of the first frame [ns].

    Raises:
        ParameterError: It is not such a list; names the entry and what is wrong with it.
    """
    content = read_yaml(path, "script")
    entries = content.get("queries") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ParameterError(f"script {path}: expected a list of entries with the keys {', '.join(KEYS)}")
    asked = [_read_entry(entry, f"script {path}, entry {number}", start_ns) for number, entry in enumerate(entries, 1)]
    return sorted(asked, key=lambda a: a.at_ns)


def _read_entry(entry: object, where: str, start_ns: int) -> Asked:
    if not isinstance(entry, dict):
        raise ParameterError(f"{where}: expected keys and values, got {quoted(entry)}")
    unknown = [str(key) for key in entry if key not in KEYS]
    if unknown:
        raise ParameterError(f"{where}: unknown key {quoted_names(unknown)}; known are {', '.join(KEYS)}")
    reader = _Entry(entry, where)
    at_ns, text = reader.moment(start_ns), reader.text("text")
    request = QueryRequest(
        key=QueryKey(reader.name("client", SCRIPT_CLIENT), reader.name("id", text)),
        text=text,
        action=reader.action(),
        stamp_ns=at_ns,
        score_threshold=reader.number("score_threshold"),
        mask_threshold=reader.number("mask_threshold"),
        max_instances=reader.integer("max_instances", 0, 2**16 - 1),
        lifetime_ns=reader.nanoseconds("lifetime"),
        max_rate_hz=reader.number("max_rate"),
        priority=reader.integer("priority", -(2**7), 2**7 - 1),
        cameras=reader.texts("cameras"),
    )
    return Asked(at_ns, (request,))


class _Entry(NamedTuple):
    """One entry of a script; its values are of the types of TextQuery, or refused with the entry's place."""

    values: Mapping[str, object]
    where: str

    def action(self) -> Action:
        value = self.values.get("action", "add")
        if not isinstance(value, str) or value not in _ACTIONS:
            raise self._refused("action", f"one of {', '.join(_ACTIONS)}")
        return _ACTIONS[value]

    def text(self, key: str) -> str:
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise self._refused(key, "a text")
        return value

    def name(self, key: str, default: str) -> str:
        """A text, or a whole number, which is a name too."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self._refused(key, "a text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one alone."""
        value = self.values.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise self._refused(key, "a list of texts")
        return tuple(values)

    def number(self, key: str) -> float:
        value = self.values.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._refused(key, "a number")
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int:
        value = self.values.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._refused(key, f"an integer from {low} to {high}")
        return value

    def moment(self, start_ns: int) -> int:
        """When it takes effect [ns]."""
        try:
            return checked_ns(start_ns + self.nanoseconds("at"))
        except StampError as error:
            raise ParameterError(f"{self.where}: at: {error}") from error

    def nanoseconds(self, key: str) -> int:
        seconds = self.number(key)
        if not 0 <= seconds <= _MAX_SECONDS:
            raise self._refused(key, f"a time of 0 to {_MAX_SECONDS} s")
        return round(seconds * 1e9)

    def _refused(self, key: str, expected: str) -> ParameterError:
        return ParameterError(f"{self.where}: {key} must be {expected}, got {quoted(self.values.get(key))}")


def query_topics(reader: BagReader) -> set[str]:
    """Topics of recorded queries: TextQuery, QuerySet, and String on a topic named query_text.

    Raises:
        BagError: The bag holds none.
    """
    topics = {t.name for t in reader.topics.values() if t.type_name in (TEXT_QUERY, QUERY_SET)}
    topics |= {t.name for t in reader.topics.values() if t.type_name == STRING and t.name.endswith("query_text")}
    if not topics:
        raise BagError(f"{reader.path}: no recorded queries ({TEXT_QUERY} or {QUERY_SET}); {reader.listing}")
    return topics


def recorded_queries(reader: BagReader, index: BagIndex) -> list[Asked]:
    """The queries that were recorded; each takes effect after the image that was recorded before it.

    Args:
        reader: The bag; gets a fault for each query that cannot be read.
        index: Of the bag, with the messages of its `query_topics`.
    """
    asked = []
    for message in index.others:
        try:
            asked.append(_to_asked(message, index.clock.at(message.log_time_ns)))
        except BagError as error:
            reader.add_fault(f"{reader.path}: {message.topic}: {error}")
    return sorted(asked, key=lambda a: a.at_ns)


def _to_asked(message: RawMessage, at_ns: int) -> Asked:
    if len(message.data) > QUERY_SET_BYTES:
        raise BagError(f"a message of {len(message.data):,} bytes, at most {QUERY_SET_BYTES:,} are read")
    content = deserialize(message.data, message.type_name, message.definition)
    if message.type_name == TEXT_QUERY:
        return Asked(at_ns, (read_request(content),))
    if message.type_name == QUERY_SET:
        return Asked(at_ns, tuple(read_requests(content)), content.client)
    return Asked(at_ns, tuple(text_requests(TEXT_CLIENT, content.data.split(","))), TEXT_CLIENT)
