"""What a replay's command line names: the node's parameter file, a latency profile, the network."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from samlite_ros.errors import ParameterError
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
    content = read_yaml(path, "parameters")
    nodes = content.items() if isinstance(content, dict) else ()
    sections = [section for name, section in nodes if str(name).rpartition("/")[2] in PARAMETER_NODES]
    if not sections:
        raise ParameterError(f"parameters {path}: no section /** or samlite")
    values: dict[str, object] = {}
    for section in sections:
        if not isinstance(section, dict) or not isinstance(section.get("ros__parameters"), dict):
            raise ParameterError(f"parameters {path}: no ros__parameters below the node's name")
        values.update(section["ros__parameters"])
    _check_known(path, values)
    try:
        return Parameters(**{name: value for name, value in values.items() if name in SPECS})  # type: ignore[arg-type]
    except ParameterError as error:
        raise ParameterError(f"parameters {path}: {error}") from error


def _check_known(path: Path, names: Iterable[object]) -> None:
    """A slip of the pen would otherwise go unseen."""
    unknown = [str(n) for n in names if n not in SPECS and str(n).partition(".")[0] not in OTHER_PARAMETERS]
    if unknown:
        alike = get_close_matches(unknown[0], SPECS, 1)
        hint = f", did you mean {alike[0]}?" if alike else f": {', '.join(SPECS)}"
        raise ParameterError(f"parameters {path}: the node has no parameter {', '.join(unknown)}{hint}")
