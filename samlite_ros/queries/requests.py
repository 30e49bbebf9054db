"""What a client may ask: the fields of TextQuery.msg, their defaults, and when they are refused."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from samlite_ros.errors import QueryRejected
from samlite_ros.queries.outcome import Hysteresis
from samlite_ros.types import NO_STAMP, Prompt, QueryKey

MAX_TEXT_CHARACTERS = 1000
MAX_NAME_CHARACTERS = 256


class Action(IntEnum):
    """Values of TextQuery.action."""

    ADD = 0
    REMOVE = 1
    CLEAR = 2


class Refusal(IntEnum):
    """Values of QueryStatus.reason."""

    NONE = 0
    TEXT_EMPTY = 1
    TEXT_TOO_LONG = 2
    ID_INVALID = 3
    UNKNOWN_ACTION = 4
    UNKNOWN_QUERY = 5
    UNKNOWN_CAMERA = 6
    BAD_THRESHOLD = 7
    BAD_LIFETIME = 8
    BAD_RATE = 9
    TOO_MANY_QUERIES = 10
    CLASS_IDS_EXHAUSTED = 11
    UNSUPPORTED = 12
    MODEL_ERROR = 13


@dataclass(frozen=True)
class QueryRequest:
    """What a client asks, as it came: TextQuery.msg. Zeros mean the defaults of `QueryOptions`."""

    key: QueryKey
    text: str = ""
    action: int = Action.ADD
    stamp_ns: int = NO_STAMP
    score_threshold: float = 0.0
    mask_threshold: float = 0.0
    max_instances: int = 0
    lifetime_ns: int = 0
    max_rate_hz: float = 0.0
    priority: int = 0
    cameras: tuple[str, ...] = ()
    exemplars: int = 0


@dataclass(frozen=True)
class QueryOptions:
    """What the registry fills in and how much it takes.

    Args:
        score_threshold, mask_threshold, max_instances: For queries that leave them 0; see `Query`.
        max_queries: Most standing queries, over all clients.
        cameras: Names of the cameras; one without a name is "".
        hysteresis: When a query's outcome turns.
    """

    score_threshold: float = 0.5
    mask_threshold: float = 0.5
    max_instances: int = 100
    max_queries: int = 1000
    cameras: tuple[str, ...] = ("",)
    hysteresis: Hysteresis = field(default_factory=Hysteresis)


def normalise_phrase(text: str) -> str:
    """What two spellings of one phrase have in common: compatible characters and case folded, blanks collapsed."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    printable = "".join(c if c.isprintable() else " " for c in folded)
    return " ".join(printable.split())


def prompt_of(request: QueryRequest) -> Prompt:
    """What a request wants found; spellings of one phrase are one prompt."""
    return Prompt(normalise_phrase(request.text))


def text_requests(client: str, texts: Iterable[str]) -> list[QueryRequest]:
    """Queries of these phrases, each named by itself; blank ones are left out, spellings of one phrase are one."""
    phrases = {normalise_phrase(text): text.strip() for text in texts}
    phrases.pop("", None)
    return [QueryRequest(QueryKey(client, phrase[:MAX_NAME_CHARACTERS]), text) for phrase, text in phrases.items()]


def validate_request(request: QueryRequest, options: QueryOptions) -> None:
    """Check the fields of an ADD.

    Raises:
        QueryRejected: With the reason's code and the value that was wrong.
    """
    _check_name(request.key)
    if request.exemplars:
        raise QueryRejected(
            Refusal.UNSUPPORTED, f"{request.exemplars} exemplars given: box exemplars are not supported"
        )
    if len(request.text) > MAX_TEXT_CHARACTERS:
        raise QueryRejected(
            Refusal.TEXT_TOO_LONG, f"text has {len(request.text)} characters, at most {MAX_TEXT_CHARACTERS} are read"
        )
    if not normalise_phrase(request.text):
        raise QueryRejected(Refusal.TEXT_EMPTY, f"text {request.text!r} has nothing to search for")
    for name in ("score_threshold", "mask_threshold"):
        if not 0 <= (value := getattr(request, name)) <= 1:
            raise QueryRejected(Refusal.BAD_THRESHOLD, f"{name} is {value}, must be 0 (default) to 1")
    if request.lifetime_ns < 0:
        raise QueryRejected(Refusal.BAD_LIFETIME, f"lifetime is {request.lifetime_ns / 1e9} s, must not be negative")
    if not 0 <= request.max_rate_hz < math.inf:
        raise QueryRejected(Refusal.BAD_RATE, f"max_rate is {request.max_rate_hz} Hz, must be 0 (no limit) or more")
    unknown = [camera for camera in request.cameras if camera not in options.cameras]
    if unknown:
        known = ", ".join(filter(None, options.cameras)) or "one camera without a name: leave cameras empty"
        raise QueryRejected(Refusal.UNKNOWN_CAMERA, f"no camera is named {', '.join(unknown)}; there is {known}")


def _check_name(key: QueryKey) -> None:
    if not key.id:
        raise QueryRejected(Refusal.ID_INVALID, "id is empty: name the query")
    for name, value in zip(("client", "id"), key, strict=True):
        if len(value) > MAX_NAME_CHARACTERS:
            raise QueryRejected(
                Refusal.ID_INVALID, f"{name} has {len(value)} characters, at most {MAX_NAME_CHARACTERS} are allowed"
            )
