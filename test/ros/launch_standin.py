"""Just enough of `launch` and `launch_ros` to read our launch files where those packages are not installed.

Evaluates a launch file to the command lines that it would start. Only what our files use is there; anything else
fails as it should, with an AttributeError or ImportError.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import yaml


class LaunchConfiguration:
    def __init__(self, name, *, default=None):
        self.name, self.default = name, default

    def perform(self, context):
        return context[self.name] if self.default is None else context.get(self.name, self.default)


class DeclareLaunchArgument:
    def __init__(self, name, *, default_value=None, description):
        self.name, self.default_value, self.description = name, default_value, description

    def visit(self, context):
        if self.default_value is None and self.name not in context:
            raise RuntimeError(f"launch argument {self.name} is needed")
        context.setdefault(self.name, self.default_value)
        return []


class OpaqueFunction:
    def __init__(self, *, function):
        self.function = function

    def visit(self, context):
        return self.function(context)


class LogInfo:
    def __init__(self, *, msg):
        self.msg = msg

    def visit(self, context):
        return []


class ExecuteProcess:
    def __init__(self, *, cmd, **how_to_run):
        self.cmd = cmd

    def visit(self, context):
        return []

    def command_line(self):
        """[executable, arguments...]."""
        return list(self.cmd)


class LaunchDescription:
    def __init__(self, actions):
        self.actions = actions

    def visit(self, context):
        return self.actions


class PythonLaunchDescriptionSource:
    def __init__(self, path):
        self.path = path


class IncludeLaunchDescription:
    def __init__(self, source, *, launch_arguments):
        self.source, self.arguments = source, dict(launch_arguments)

    def visit(self, context):
        given = {k: v.perform(context) if isinstance(v, LaunchConfiguration) else v for k, v in self.arguments.items()}
        context.update(given)
        return [load(self.source.path)]


class ParameterValue:
    def __init__(self, value, *, value_type):
        assert isinstance(value, list if value_type == list[str] else value_type)
        self.value = value


class Node:
    def __init__(
        self, *, package, executable, name, namespace="", parameters=(), remappings=(), arguments=(), **how_to_run
    ):
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters, self.remappings, self.arguments = parameters, remappings, arguments

    def visit(self, context):
        return []

    def command_line(self):
        """[executable, arguments...] as launch_ros would start it."""
        words = [self.executable, *self.arguments, "--ros-args", "-r", f"__node:={self.name}"]
        if self.namespace:
            words += ["-r", f"__ns:=/{self.namespace.lstrip('/')}"]
        for source in self.parameters:
            if isinstance(source, str):
                words += ["--params-file", source]
                continue
            for name, value in source.items():
                words += ["-p", f"{name}:={_as_yaml(value)}"]
        for source, target in self.remappings:
            words += ["-r", f"{source}:={target}"]
        return words


def _as_yaml(value):
    value = value.value if isinstance(value, ParameterValue) else value
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


_MODULES = {
    "launch": {"LaunchDescription": LaunchDescription},
    "launch.actions": {
        c.__name__: c
        for c in (DeclareLaunchArgument, OpaqueFunction, IncludeLaunchDescription, ExecuteProcess, LogInfo)
    },
    "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
    "launch.launch_description_sources": {"PythonLaunchDescriptionSource": PythonLaunchDescriptionSource},
    "launch_ros": {},
    "launch_ros.actions": {"Node": Node},
    "launch_ros.parameter_descriptions": {"ParameterValue": ParameterValue},
}


def load(path: str | Path) -> LaunchDescription:
    """The launch description of a file, built from the stand-ins."""
    saved = {name: sys.modules.get(name) for name in _MODULES}
    try:
        for name, members in _MODULES.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(members)
        spec = importlib.util.spec_from_file_location("launch_file", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.generate_launch_description()
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def notes(path: str | Path, **arguments: str) -> list[str]:
    """What `ros2 launch path name:=value ...` would log beside starting processes."""
    context = Context(arguments)
    return [action.msg for action in _visited([load(path)], context) if isinstance(action, LogInfo)]


def declared(path: str | Path) -> list[DeclareLaunchArgument]:
    """The launch arguments of a file's own."""
    return [action for action in load(path).actions if isinstance(action, DeclareLaunchArgument)]


def command_lines(path: str | Path, **arguments: str) -> list[list[str]]:
    """The command lines that `ros2 launch path name:=value ...` would start."""
    visited = _visited([load(path)], Context(arguments))
    return [action.command_line() for action in visited if isinstance(action, Node | ExecuteProcess)]


class Context(dict):
    """The launch configurations."""

    @property
    def launch_configurations(self):
        return self


def _visited(actions, context):
    """All actions, in the order in which they are reached."""
    found = []
    for action in actions:
        found += [action, *_visited(action.visit(context), context)]
    return found
