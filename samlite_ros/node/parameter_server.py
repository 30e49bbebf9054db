"""The table of parameters, declared on a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from samlite_ros.parameters.table import SPECS, Parameters


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
