"""What the node and the network's process say to each other."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

from samlite_ros.errors import NetworkError, SamliteError
from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.types import DecodeOptions, Frame, Prompt

LONGEST_WORDS = 1500
"""Of an error's own words, and of what it carries [characters, bytes]."""


@dataclass(frozen=True)
class Load:
    """Build the segmenter; the answer is `Loaded`.

    Args:
        parameters: What the factory takes.
    """

    parameters: Any


@dataclass(frozen=True)
class Loaded:
    """See `Network`."""

    model_id: str
    computes: str
    interruptible: bool


@dataclass(frozen=True)
class Embed:
    """See `Network.embed`; the answer is None."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, eq=False)
class SearchImage:
    """See `Network.search`; the answer is `Found`. Its image's features are kept under the request's number."""

    frame: Frame
    prompts: tuple[Prompt, ...]
    options: tuple[DecodeOptions, ...]


@dataclass(frozen=True, eq=False)
class Decode:
    """See `Network.decode`; the answer is `Found`.

    Args:
        image: With the number of the request that made it for features.
        prompts: What to decode.
        options: One per prompt.
    """

    image: ImageEmbedding
    prompts: tuple[Prompt, ...]
    options: tuple[DecodeOptions, ...]


Call = Load | Embed | SearchImage | Decode


@dataclass(frozen=True, eq=False)
class Request:
    """From the node.

    Args:
        number: Names it.
        call: What is wanted.
        in_parts: Other requests may be answered, and this one be given up, between two parts of its pass.
        released: Numbers of embeddings that are no longer wanted.
    """

    number: int
    call: Call
    in_parts: bool = False
    released: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cancel:
    """From the node: end this request's pass between two parts; it is answered with `Cancelled`, or as it was."""

    number: int


@dataclass(frozen=True)
class Forget:
    """From the node: see `Network.forget`; it is not answered."""

    camera: str


@dataclass(frozen=True, eq=False)
class Reply:
    """From the network's process.

    Args:
        number: The request's.
        value: Its answer; images without their features.
        refused: Prompts that could not be embedded, and why.
        failure: What was raised instead.
    """

    number: int
    value: Any = None
    refused: dict[Prompt, Failure] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(frozen=True)
class Failure:
    """An exception that can travel: exceptions whose arguments are not their message's cannot be pickled.

    Args:
        kind: Its class.
        arguments, state: What it carries.
    """

    kind: type[Exception]
    arguments: tuple[Any, ...]
    state: dict[str, Any]

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Kinds of `samlite_ros.errors` and ValueError as themselves, others as a `NetworkError` that names theirs."""
        if type(error) is ValueError or (isinstance(error, SamliteError) and _is_known(type(error))):
            failure = cls(type(error), error.args, dict(vars(error)))
            try:
                if len(pickle.dumps(failure)) < LONGEST_WORDS:
                    return failure
            except Exception:  # of whatever it carries only the text can travel
                pass
            return cls(type(error), (_words(error),), {})
        return cls(NetworkError, (f"{type(error).__name__}: {_words(error)}",), {})

    def exception(self) -> Exception:
        """The exception, without its traceback."""
        error = self.kind.__new__(self.kind)
        error.args = self.arguments
        vars(error).update(self.state)
        return error


def _is_known(kind: type[Exception]) -> bool:
    return kind.__module__ == SamliteError.__module__


def _words(error: Exception) -> str:
    """Some errors hold whole arrays, others cannot even be put into words."""
    try:
        text = str(error)
    except Exception:
        return "(it has no words)"
    return text if len(text) < LONGEST_WORDS else f"{text[:LONGEST_WORDS]} ..."
