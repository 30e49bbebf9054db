"""What the node and the network's process say to each other."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from samlite_ros.errors import NetworkError, SamliteError
from samlite_ros.types import DecodeOptions, Frame, ImageEmbedding, Prompt, PromptEmbedding

FOLLOW_UP_S = 0.02
"""Within a pass both sides wait so long [s] between a new prompt's embedding and its decoding, which another thread has
to ask for, and which would otherwise wait for one block more."""


@dataclass(frozen=True)
class Load:
    """Build the segmenter; the answer is its model_id.

    Args:
        parameters: What the factory takes.
    """

    parameters: Any


@dataclass(frozen=True)
class EmbedPrompts:
    """The answer is the embedding without its features, which are kept under the request's number."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, eq=False)
class EmbedImage:
    """The answer is the embedding without its features, which are kept under the request's number.

    Args:
        frame: The frame.
        in_blocks: Requests may be answered between two blocks.
    """

    frame: Frame
    in_blocks: bool


@dataclass(frozen=True, eq=False)
class Segment:
    """The answer is a list of `PromptResult`.

    Args:
        image, prompts: With the numbers of the requests that made them for features.
        options: One per prompt.
    """

    image: ImageEmbedding
    prompts: PromptEmbedding
    options: tuple[DecodeOptions, ...]


@dataclass(frozen=True, eq=False)
class SearchImage:
    """`EmbedImage` and `Segment` in one; the answer is `Found`, whose image is as that of `EmbedImage`.

    Args:
        frame: The frame.
        prompts: With the number of the request that made it for features.
        options: One per prompt.
        in_parts: Requests may be answered between two blocks or layers.
    """

    frame: Frame
    prompts: PromptEmbedding
    options: tuple[DecodeOptions, ...]
    in_parts: bool


Call = Load | EmbedPrompts | EmbedImage | Segment | SearchImage


@dataclass(frozen=True, eq=False)
class Request:
    """From the node.

    Args:
        number: Names it.
        call: What is wanted.
        released: Numbers of embeddings that are no longer wanted.
    """

    number: int
    call: Call
    released: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cancel:
    """From the node: end this request's pass between two blocks; it is answered with `Cancelled`, or as it was."""

    number: int


@dataclass(frozen=True, eq=False)
class Reply:
    """From the network's process.

    Args:
        number: The request's.
        value: Its answer, or
        failure: what was raised.
    """

    number: int
    value: Any = None
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
                pickle.dumps(failure)
                return failure
            except Exception:  # of whatever it carries only the text can travel
                return cls(type(error), (str(error),), {})
        return cls(NetworkError, (f"{type(error).__name__}: {error}",), {})

    def exception(self) -> Exception:
        """The exception, without its traceback."""
        error = self.kind.__new__(self.kind)
        error.args = self.arguments
        vars(error).update(self.state)
        return error


def _is_known(kind: type[Exception]) -> bool:
    return kind.__module__ == SamliteError.__module__
