"""How much memory features take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any


def bytes_of(features: Any) -> int:
    """Memory of all arrays in a structure of mappings, sequences and dataclasses [bytes]."""
    size = getattr(features, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(features, Mapping):
        return sum(map(bytes_of, features.values()))
    if isinstance(features, Sequence) and not isinstance(features, str | bytes):
        return sum(map(bytes_of, features))
    if is_dataclass(features):
        return sum(bytes_of(getattr(features, field.name)) for field in fields(features))
    in_bytes = getattr(features, "tensor_size_in_bytes", None)  # ONNX Runtime's
    return int(in_bytes()) if callable(in_bytes) else 0
