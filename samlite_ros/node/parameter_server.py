"""The table of parameters, declared on a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from difflib import get_close_matches

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from samlite_ros.errors import ParameterError
from samlite_ros.parameters.table import SPECS, Parameters

QOS_VALUES = {
    "reliability": ("reliable", "best_effort", "system_default"),
    "durability": ("volatile", "transient_local", "system_default"),
    "history": ("keep_last", "keep_all", "system_default"),
}
"""Values of the last parts of `qos_overrides...`."""
SLIP_OF_THE_PEN = 0.85
"""An unknown name so much like one of ours was meant for us; others may be those of nodes that share the file."""


def given_parameters(node: Node) -> Mapping[str, object]:
    """All that was given at start, in files and on the command line, by name; also what the node does not know."""
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def declare_parameters(node: Node) -> Parameters:
    """Declare all parameters and read what was given.

    Types are checked by `Parameters` rather than by rclpy, which refuses an integer for a double and knows no empty
    list of texts.

    Raises:
        ParameterError: A given value is wrong.
    """
    for name, value in asdict(Parameters()).items():
        spec = SPECS[name]
        descriptor = ParameterDescriptor(
            description=spec.meaning,
            additional_constraints=f"{spec.range_text} {spec.unit}; may change {spec.change.value}".strip(" ;"),
            dynamic_typing=True,
        )
        node.declare_parameter(name, (value or [""]) if isinstance(value, tuple) else value, descriptor)
    return Parameters(**{name: node.get_parameter(name).value for name in SPECS})


def values_of(parameters: Iterable[Parameter]) -> Mapping[str, object]:
    """Values by name."""
    return {parameter.name: parameter.value for parameter in parameters}


def check_qos_overrides(node: Node) -> None:
    """Before topics are made of them.

    Raises:
        ParameterError: There is no such value.
    """
    for name, value in given_parameters(node).items():
        allowed = QOS_VALUES.get(name.rpartition(".")[2], ()) if name.startswith("qos_overrides.") else ()
        if allowed and value not in allowed:
            raise ParameterError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def unknown_parameters(node: Node) -> list[str]:
    """A line for each parameter that was given and that the node, with all its topics made, does not have.

    Raises:
        ParameterError: One is so much like one of ours that it was meant.
    """
    known = {*SPECS, *node._parameters}
    transports = {_of_any_transport(name) for name in known}
    lines = []
    for name in given_parameters(node):
        if _of_any_transport(name) in transports:
            continue
        alike = get_close_matches(name, known, 1)
        line = f"there is no parameter {name}" + (f", did you mean {alike[0]}?" if alike else "; it is ignored")
        if not name.startswith("qos_overrides.") and get_close_matches(name, SPECS, 1, SLIP_OF_THE_PEN):
            raise ParameterError(line)
        lines.append(line)
    return lines


def _of_any_transport(name: str) -> str:
    """QoS for a camera's raw and compressed images is often given for both at once."""
    return name.replace("/compressed.", ".") if name.startswith("qos_overrides.") else name
