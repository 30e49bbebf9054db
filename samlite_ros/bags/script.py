"""Who asked for what, and when: from a script file, from the command line, or from the queries in a bag."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from samlite_ros.bags.frames import read_stamp_ns
from samlite_ros.bags.message_types import QUERY_SET, STRING, TEXT_QUERY, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage
from samlite_ros.errors import BagError, ParameterError
from samlite_ros.message_reading import read_request, read_requests
from samlite_ros.queries import TEXT_CLIENT, QueryRegistry
from samlite_ros.query_requests import MAX_NAME_CHARACTERS, Action, QueryRequest, normalise_phrase
from samlite_ros.types import QueryKey

SCRIPT_CLIENT = "script"
_ACTIONS = {"add": Action.ADD, "replace": Action.ADD, "remove": Action.REMOVE, "clear": Action.CLEAR}
_PLAIN = ("text", "score_threshold", "mask_threshold", "max_instances", "priority", "cameras")
KEYS = ("at", "action", "client", "id", *_PLAIN, "lifetime", "max_rate")


class Asked(NamedTuple):
    """Something that one client asked for at one moment.

    Args:
        at_ns: When, on the clock of the frames' stamps [ns].
        requests: What.
        replaces_set_of: The client whose whole set this is; None = single requests.
    """

    at_ns: int
    requests: tuple[QueryRequest, ...]
    replaces_set_of: str | None = None

    def apply(self, registry: QueryRegistry, now_ns: int) -> None:
        """Ask."""
        if self.replaces_set_of is not None:
            registry.replace_set(self.replaces_set_of, self.requests, now_ns)
            return
        for request in self.requests:
            registry.apply(request, now_ns)


def ask_from_start(phrases: Sequence[str], start_ns: int) -> list[Asked]:
    """Phrases that are searched from the first frame on, each a query of the client 'text'."""
    return [Asked(start_ns, _text_requests(phrases, start_ns))] if phrases else []


def _text_requests(texts: Iterable[str], stamp_ns: int) -> tuple[QueryRequest, ...]:
    """Queries of the client 'text', each named by its own phrase."""
    phrases = {normalise_phrase(text): text.strip() for text in texts}
    return tuple(
        QueryRequest(QueryKey(TEXT_CLIENT, phrase[:MAX_NAME_CHARACTERS]), text, stamp_ns=stamp_ns)
        for phrase, text in phrases.items()
    )


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
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(f"script {path}: {error}") from error
    entries = content.get("queries") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ParameterError(f"script {path}: expected a list of entries with the keys {', '.join(KEYS)}")
    asked = [_read_entry(entry, f"script {path}, entry {number}", start_ns) for number, entry in enumerate(entries, 1)]
    return sorted(asked, key=lambda a: a.at_ns)


def _read_entry(entry: object, where: str, start_ns: int) -> Asked:
    if not isinstance(entry, dict):
        raise ParameterError(f"{where}: expected keys and values, got {entry!r}")
    unknown = [str(key) for key in entry if key not in KEYS]
    if unknown:
        raise ParameterError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(KEYS)}")
    action = entry.get("action", "add")
    if action not in _ACTIONS:
        raise ParameterError(f"{where}: action is {action!r}, expected one of {', '.join(_ACTIONS)}")
    at_ns = start_ns + _nanoseconds(entry.get("at", 0), f"{where}: at")
    values = {key: entry[key] for key in _PLAIN if key in entry}
    values["cameras"] = tuple(values.get("cameras", ()))
    request = QueryRequest(
        key=QueryKey(str(entry.get("client", SCRIPT_CLIENT)), str(entry.get("id", entry.get("text", "")))),
        action=_ACTIONS[action],
        stamp_ns=at_ns,
        lifetime_ns=_nanoseconds(entry.get("lifetime", 0), f"{where}: lifetime"),
        max_rate_hz=_number(entry.get("max_rate", 0), f"{where}: max_rate"),
        **values,
    )
    _check_types(request, where)
    return Asked(at_ns, (request,))


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"{where} must be a number, got {value!r}")
    return float(value)


def _nanoseconds(value: object, where: str) -> int:
    seconds = _number(value, f"{where} [s]")
    if seconds < 0:
        raise ParameterError(f"{where} must not be negative, got {seconds} s")
    return round(seconds * 1e9)


def _check_types(request: QueryRequest, where: str) -> None:
    for name, kind in (("text", str), ("max_instances", int), ("priority", int)):
        if not isinstance(getattr(request, name), kind):
            raise ParameterError(f"{where}: {name} must be {kind.__name__}, got {getattr(request, name)!r}")
    for name in ("score_threshold", "mask_threshold"):
        _number(getattr(request, name), f"{where}: {name}")


def queries_from_bag(reader: BagReader, image_topics: Iterable[str]) -> list[Asked]:
    """The queries that were recorded: TextQuery, QuerySet, and String on a topic named query_text.

    Each takes effect after the image that was recorded before it.

    Args:
        reader: The bag; gets a fault for each query that cannot be read.
        image_topics: Whose stamps are the clock.

    Raises:
        BagError: The bag holds no topic of queries.
    """
    images = set(image_topics)
    topics = {t.name for t in reader.topics.values() if t.type_name in (TEXT_QUERY, QUERY_SET)}
    topics |= {t.name for t in reader.topics.values() if t.type_name == STRING and t.name.endswith("query_text")}
    if not topics:
        there = ", ".join(f"{t.name} ({t.type_name})" for t in reader.topics.values())
        raise BagError(f"{reader.path}: no recorded queries ({TEXT_QUERY} or {QUERY_SET}); topics in this bag: {there}")
    clock = _image_clock(reader, images)
    asked = []
    for message in reader.messages(topics):
        try:
            asked.append(_to_asked(message, clock.at(message.log_time_ns)))
        except BagError as error:
            reader.add_fault(f"{reader.path}: {message.topic}: {error}")
    return sorted(asked, key=lambda a: a.at_ns)


class _ImageClock(NamedTuple):
    """Turns times of recording into stamps: those of the images recorded last."""

    log_times_ns: list[int]
    stamps_ns: list[int]

    def at(self, log_time_ns: int) -> int:
        """Just after the image recorded before; before the first image its own stamp."""
        place = bisect_right(self.log_times_ns, log_time_ns) - 1
        return self.stamps_ns[place] + 1 if place >= 0 else self.stamps_ns[0]


def _image_clock(reader: BagReader, images: set[str]) -> _ImageClock:
    pairs = [(m.log_time_ns, read_stamp_ns(m.data)) for m in reader.messages(images)]
    known = sorted((log, stamp) for log, stamp in pairs if stamp is not None)
    return _ImageClock([log for log, _ in known], [stamp for _, stamp in known])


def _to_asked(message: RawMessage, at_ns: int) -> Asked:
    content = deserialize(message.data, message.type_name)
    if message.type_name == TEXT_QUERY:
        return Asked(at_ns, (read_request(content),))
    if message.type_name == QUERY_SET:
        return Asked(at_ns, tuple(read_requests(content)), content.client)
    texts = [text for text in content.data.split(",") if text.strip()]
    return Asked(at_ns, _text_requests(texts, at_ns), TEXT_CLIENT)
