"""What a client may ask: the fields of TextQuery.msg, their defaults, and when they are refused."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum

from samlite_ros.errors import QueryRejected
from samlite_ros.foreign.limits import CAMERAS_NAMED, NAME_CHARACTERS, TEXT_CHARACTERS
from samlite_ros.foreign.words import cut, quoted, quoted_names
from samlite_ros.queries.outcome import Hysteresis
from samlite_ros.types import NO_STAMP, Prompt, QueryKey


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
    BAD_STAMP = 14


@dataclass(frozen=True)
class QueryRequest:
    """What a client asks, as it came: TextQuery.msg. Zeros mean the defaults of `QueryOptions`.

    `refusal` is what was found wrong with it already when it was read.
    """

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
    refusal: tuple[Refusal, str] | None = None

    def shortened(self) -> QueryRequest:
        """What is kept of it where it is refused: whoever asked knows it by its beginning."""
        key = QueryKey(cut(self.key.client), cut(self.key.id))
        return replace(self, key=key, text=cut(self.text), cameras=())


@dataclass(frozen=True)
class QueryOptions:
    """What the registry fills in and how much it takes.

    Args:
        score_threshold, mask_threshold, max_instances: For queries that leave them 0; see `Query`.
        max_queries: Most standing queries, over all clients.
        max_client_queries: Of these, most of one client; also most in one set.
        max_client_class_ids: Most class ids of one client, of all that there are; those that it freed count while
            they rest.
        cameras: Names of the cameras; one without a name is "".
        hysteresis: When a query's outcome turns.
    """

    score_threshold: float = 0.5
    mask_threshold: float = 0.5
    max_instances: int = 100
    max_queries: int = 2000
    max_client_queries: int = 1000
    max_client_class_ids: int = 200
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
    """Queries of these phrases, each named by itself; blank ones are left out, spellings of one phrase are one.

    One that is longer than any that is accepted is not looked at: it names itself by its beginning.
    """
    phrases = {normalise_phrase(text[: TEXT_CHARACTERS + 1]): text.strip() for text in texts}
    phrases.pop("", None)
    return [QueryRequest(QueryKey(client, phrase[:NAME_CHARACTERS]), text) for phrase, text in phrases.items()]


def validate_request(request: QueryRequest, options: QueryOptions) -> None:
    """Check the fields of an ADD.

    Raises:
        QueryRejected: With the reason's code and the value that was wrong.
    """
    if request.exemplars:
        raise QueryRejected(
            Refusal.UNSUPPORTED, f"{request.exemplars} exemplars given: box exemplars are not supported"
        )
    if len(request.text) > TEXT_CHARACTERS:
        raise QueryRejected(
            Refusal.TEXT_TOO_LONG, f"text has {len(request.text)} characters, at most {TEXT_CHARACTERS} are read"
        )
    if not normalise_phrase(request.text):
        raise QueryRejected(Refusal.TEXT_EMPTY, f"text {quoted(request.text)} has nothing to search for")
    for name in ("score_threshold", "mask_threshold"):
        if not 0 <= (value := getattr(request, name)) <= 1:
            raise QueryRejected(Refusal.BAD_THRESHOLD, f"{name} is {value}, must be 0 (default) to 1")
    if request.lifetime_ns < 0:
        raise QueryRejected(Refusal.BAD_LIFETIME, f"lifetime is {request.lifetime_ns / 1e9} s, must not be negative")
    if not 0 <= request.max_rate_hz < math.inf:
        raise QueryRejected(Refusal.BAD_RATE, f"max_rate is {request.max_rate_hz} Hz, must be 0 (no limit) or more")
    if len(request.cameras) > CAMERAS_NAMED:
        count = f"{len(request.cameras):,}"
        raise QueryRejected(Refusal.UNKNOWN_CAMERA, f"{count} cameras are named, at most {CAMERAS_NAMED} are read")
    unknown = [camera for camera in request.cameras if camera not in options.cameras]
    if unknown:
        known = ", ".join(filter(None, options.cameras)) or "one camera without a name: leave cameras empty"
        raise QueryRejected(Refusal.UNKNOWN_CAMERA, f"no camera is named {quoted_names(unknown)}; there is {known}")


def check_name(request: QueryRequest) -> None:
    """Check what names a query, in whatever is asked of it.

    Raises:
        QueryRejected: It has no id, or a name is too long or cannot be written down.
    """
    if request.refusal is not None:
        raise QueryRejected(*request.refusal)
    if not request.key.id and request.action != Action.CLEAR:
        raise QueryRejected(Refusal.ID_INVALID, "id is empty: name the query")
    for name, value in zip(("client", "id"), request.key, strict=True):
        if len(value) > NAME_CHARACTERS:
            raise QueryRejected(
                Refusal.ID_INVALID, f"{name} has {len(value)} characters, at most {NAME_CHARACTERS} are allowed"
            )
    for name, value in (("client", request.key.client), ("id", request.key.id), ("text", request.text)):
        try:
            value[: TEXT_CHARACTERS + 1].encode()
        except UnicodeEncodeError:  # of halves of characters, which no message can hold
            raise QueryRejected(Refusal.ID_INVALID, f"{name} {quoted(value)} is no Unicode text") from None
