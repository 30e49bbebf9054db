"""Every error that the package raises on purpose; each message names what was wrong and what was expected."""


class SamliteError(Exception):
    """Base of all errors that samlite_ros raises on purpose."""


class ModelLoadError(SamliteError):
    """A checkpoint could not be loaded: wrong name, missing folder, other architecture, corrupt file."""


class PhraseTooLongError(SamliteError):
    """A phrase has more tokens than the text encoder's context.

    Args:
        phrase: The phrase as it was given.
        tokens: Number of tokens it needs, the two special ones included.
        limit: Number of tokens the model takes.
    """

    def __init__(self, phrase: str, tokens: int, limit: int) -> None:
        self.phrase, self.tokens, self.limit = phrase, tokens, limit
        shown = repr(phrase) if len(phrase) <= 80 else f"{phrase[:80]!r}..."
        super().__init__(
            f"phrase {shown} needs {tokens} tokens (begin and end included), the model takes {limit}: shorten it"
        )


class ExportError(SamliteError):
    """A network cannot be exported, or what was exported does not compute what it should."""


class TrainingError(SamliteError):
    """The demo network cannot be trained here."""


class InferenceError(SamliteError):
    """The network could not compute: memory ran out twice, or its numbers are not finite."""


class NetworkError(SamliteError):
    """Something of another kind was raised in the network's process; the text begins with the kind's name."""


class NetworkEndedError(SamliteError):
    """The network's process has ended, or could not be started."""


class ImageDecodeError(SamliteError):
    """An image message is impossible or of an unknown encoding."""


class StampError(SamliteError, ValueError):
    """A time is before 0, beyond what a message holds, or has a second and more of nanoseconds."""


class CalibrationError(SamliteError):
    """A camera's calibration says nothing, or is of an impossible shape."""


class PlaceError(SamliteError):
    """Depth, calibration and image do not belong together: nothing can be said about positions."""


class QueryRejected(SamliteError):
    """A query cannot be accepted.

    Args:
        reason: One of `samlite_ros.queries.Refusal`.
        message: The reason in words, with the value that was wrong.
    """

    def __init__(self, reason: int, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class ParameterError(SamliteError):
    """A parameter's value is of the wrong type or out of its range."""


class RosError(SamliteError):
    """ROS cannot be started: its log cannot be written, its middleware not loaded."""


class BagError(SamliteError):
    """A bag cannot be read, or lacks what was asked for."""


class FootageError(SamliteError):
    """Footage with label images cannot be read, or is not laid out as it should be."""


class Cancelled(SamliteError):
    """A running pass was asked to stop (shutdown); not a fault."""


class TuningError(SamliteError):
    """A constant of the stream is of the wrong type, out of its range, or contradicts another one.

    Args:
        name: Group and field.
        value: What it was set to.
        expected: What would do.
    """

    def __init__(self, name: str, value: object, expected: str) -> None:
        self.name, self.value = name, value
        super().__init__(f"{name} is {value!r}, expected {expected}")
