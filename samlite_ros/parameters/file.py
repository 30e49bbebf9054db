"""What a replay's command line names: the node's parameter file, a latency profile, the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from samlite_ros.errors import ParameterError
from samlite_ros.foreign.words import named, quoted, quoted_names
from samlite_ros.parameters.table import SPECS, Parameters
from samlite_ros.parameters.yaml_file import read_yaml

PARAMETER_NODES = ("**", "samlite")
"""Last parts of the names of the sections that are read, whatever their namespace."""
OTHER_PARAMETERS = ("use_sim_time", "qos_overrides", "start_type_description_service")
"""What every node takes, and means nothing to a replay."""


def read_parameter_file(path: Path) -> Parameters:
    """The node's parameters from a ROS parameter file.

    Args:
        path: YAML with `ros__parameters` for the node: /** or samlite, in any namespace.

    Raises:
        ParameterError: It is not such a file, or a value is wrong, or the node has no such parameter.
    """
    values: dict[str, object] = {}
    sections = [section for name, section in _sections(path) if name.rpartition("/")[2] in PARAMETER_NODES]
    for section in sections:
        values.update(section)
    if not sections:
        raise ParameterError(f"parameters {path}: no section /** or samlite")
    _check_known(path, values)
    return _to_parameters(path, values)


def check_parameter_file(path: Path, node_name: str) -> str:
    """Look at a file that the node is started with, before rcl does, whose errors name neither file nor remedy.

    Args:
        path: YAML with `ros__parameters` for any nodes.
        node_name: Last part of the node's name.

    Returns:
        What is odd about it, in words; empty = nothing. Unknown names are the node's to tell.

    Raises:
        ParameterError: It is not such a file, or a value of the node's is wrong.
    """
    sections = _sections(path)
    mine = [section for name, section in sections if name.rpartition("/")[2] in ("**", "*", node_name)]
    for section in mine:
        _to_parameters(path, section)
    if mine or not sections:
        return ""
    names = quoted_names(name for name, _ in sections)
    return f"parameters {path}: nothing in it is for this node, {node_name}: it has sections for {names}"


def cameras_in(path: Path, node: str) -> tuple[str, ...]:
    """The cameras that a file gives a node; none where it does not say.

    Args:
        path: YAML with `ros__parameters` for any nodes.
        node: Full name of the node, e.g. /robot1/samlite.

    Raises:
        ParameterError: It is not such a file, or a value of the node's is wrong.
    """
    mine = [section for name, section in _sections(path) if _means(name, node)]
    given = [section for section in mine if "cameras" in section]
    return _to_parameters(path, given[-1]).cameras if given else ()


def _means(section: str, node: str) -> bool:
    """As rcl: * stands for one part of a name, ** for any number of them."""
    parts = [p for p in section.split("/") if p]
    patterns = {"**": "(/[^/]+)*", "*": "/[^/]+"}
    return re.fullmatch("".join(patterns.get(p, f"/{re.escape(p)}") for p in parts), node) is not None


def _sections(path: Path) -> list[tuple[str, dict[str, object]]]:
    """Name, with its namespace, and parameters of each node in the file."""
    content = read_yaml(path, "parameters")
    if content is not None and not isinstance(content, dict):
        raise ParameterError(f"parameters {path}: no section for a node, e.g. /**, but {quoted(content)}")
    return list(_walk(path, "", content or {}))


def _walk(path: Path, prefix: str, content: dict[object, object]) -> Iterator[tuple[str, dict[str, object]]]:
    for key, section in content.items():
        name = f"{prefix}/{key}" if prefix else str(key)
        if not isinstance(section, dict):
            raise ParameterError(
                f"parameters {path}: no ros__parameters above {quoted(name)}: nodes, then ros__parameters"
            )
        if "ros__parameters" not in section:
            yield from _walk(path, name, section)
        elif not isinstance(section["ros__parameters"], dict):
            raise ParameterError(
                f"parameters {path}: no ros__parameters below {named(name)}: they are names with values"
            )
        else:
            yield name, section["ros__parameters"]


def _to_parameters(path: Path, values: dict[str, object]) -> Parameters:
    try:
        return Parameters(**{name: value for name, value in values.items() if name in SPECS})  # type: ignore[arg-type]
    except ParameterError as error:
        raise ParameterError(f"parameters {path}: {error}") from error


def _check_known(path: Path, names: Iterable[object]) -> None:
    """A slip of the pen would otherwise go unseen."""
    unknown = [str(n) for n in names if n not in SPECS and str(n).partition(".")[0] not in OTHER_PARAMETERS]
    if unknown:
        alike = get_close_matches(unknown[0][:80], SPECS, 1)
        hint = f", did you mean {alike[0]}?" if alike else f": {', '.join(SPECS)}"
        raise ParameterError(f"parameters {path}: the node has no parameter {quoted_names(unknown)}{hint}")
