"""The standing queries: what clients ask, who asks it, and what came of it."""

from samlite_ros.queries.asked import Asked
from samlite_ros.queries.books import QueryStatus, State
from samlite_ros.queries.embedding import embed_pending
from samlite_ros.queries.hold_ups import HoldUps
from samlite_ros.queries.outcome import Hysteresis, LastPlace, Outcome
from samlite_ros.queries.registry import PARAMETER_CLIENT, TEXT_CLIENT, QueryRegistry
from samlite_ros.queries.requests import (
    Action,
    QueryOptions,
    QueryRequest,
    Refusal,
    normalise_phrase,
    prompt_of,
    text_requests,
)

__all__ = [
    "PARAMETER_CLIENT",
    "TEXT_CLIENT",
    "Action",
    "Asked",
    "HoldUps",
    "Hysteresis",
    "LastPlace",
    "Outcome",
    "QueryOptions",
    "QueryRegistry",
    "QueryRequest",
    "QueryStatus",
    "Refusal",
    "State",
    "embed_pending",
    "normalise_phrase",
    "prompt_of",
    "text_requests",
]
