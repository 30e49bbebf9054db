"""YAML that somebody else wrote: read within limits, before it has grown.

A few aliases of aliases stand for more than a memory holds, and lists in lists for more than the stack does; both are
counted on the file's own nodes, which are few.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from samlite_ros.foreign.files import read_bounded
from samlite_ros.foreign.limits import YAML_BYTES, YAML_DEPTH, YAML_NODES, YAML_NUMBER_CHARACTERS
from samlite_ros.foreign.words import one_line

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Misplaced(ValueError):
    """A value is not what its form says; names the line."""


class _Loader(_SAFE):  # type: ignore[misc]
    """Plain values only; of one that is none, a date in month 99, it says where it stands."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, _Misplaced, RecursionError):  # say it themselves
            raise
        except Exception as error:  # of values that are not what their tag says it raises what it happens to meet
            raise _Misplaced(f"line {node.start_mark.line + 1}: {one_line(error)}") from error


def load_yaml(path: Path) -> Any:
    """What the file says.

    Raises:
        OSError: It cannot be read, is no regular file, or is too large.
        ValueError: It is no YAML, holds no plain values, or is too large when its aliases are written out.
    """
    return parse_yaml(read_bounded(path, YAML_BYTES))


def parse_yaml(data: bytes) -> Any:
    """See `load_yaml`."""
    try:
        text = data.decode("utf-8-sig")
        _check_events(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _Count().add(node, 0)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except Exception as error:  # of values that are not what their tag says it raises what it happens to meet
        raise ValueError(one_line(error)) from error


def _check_events(text: str) -> None:
    """Stop where it becomes too deep or too long: a parser's own time grows with the square of the depth."""
    depth = count = 0
    for event in yaml.parse(text, _Loader):
        count += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > YAML_DEPTH:
            raise ValueError(f"it is nested more than {YAML_DEPTH} deep")
        if count > YAML_NODES:
            raise ValueError(f"it has more than {YAML_NODES:,} values")


class _Count:
    """Counts nodes and levels as if every alias were written out; each node is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def add(self, node: Any, depth: int) -> tuple[int, int]:
        """Number of values and of levels.

        Raises:
            ValueError: There are too many, or it contains itself.
        """
        if id(node) in self._open:
            raise ValueError("an alias stands for something that contains it")
        if id(node) not in self._known:
            self._open.add(id(node))
            below = [self.add(child, depth + 1) for child in _children(node)] if depth <= YAML_DEPTH else []
            self._open.discard(id(node))
            self._known[id(node)] = 1 + sum(size for size, _ in below), 1 + max((h for _, h in below), default=0)
        size, height = self._known[id(node)]
        if size > YAML_NODES:
            raise ValueError(f"it has more than {YAML_NODES:,} values, aliases written out")
        if depth + height > YAML_DEPTH:
            raise ValueError(f"it is nested more than {YAML_DEPTH} deep")
        return size, height


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.ScalarNode):
        if node.tag in _NUMBERS and len(node.value) > YAML_NUMBER_CHARACTERS:
            raise ValueError(f"a number of {len(node.value):,} characters")
        return []
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)
