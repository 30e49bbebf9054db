"""What a replay's command line names: the node's parameter file, a latency profile, the network."""

from __future__ import annotations

from pathlib import Path

import yaml

from samlite_ros.errors import ParameterError
from samlite_ros.node.parameters import SPECS, Parameters
from samlite_ros.streaming.runner import LatencyProfile
from samlite_ros.types import Segmenter

PROFILES_MS = {"orin-nx": 950.0, "thor": 126.0}
"""Published time of a whole pass of SAM3 with one phrase [ms]."""
PARAMETER_NODES = ("/**", "/samlite", "samlite")


def read_parameter_file(path: Path) -> Parameters:
    """The node's parameters from a ROS parameter file.

    Args:
        path: YAML with `ros__parameters` for the node: /** or samlite.

    Raises:
        ParameterError: It is not such a file, or a value is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(f"parameters {path}: {error}") from error
    sections = [content[name] for name in PARAMETER_NODES if isinstance(content, dict) and name in content]
    values: dict[str, object] = {}
    for section in sections:
        if not isinstance(section, dict) or not isinstance(section.get("ros__parameters"), dict):
            raise ParameterError(f"parameters {path}: no ros__parameters below the node's name")
        values.update(section["ros__parameters"])
    if not sections:
        raise ParameterError(f"parameters {path}: no section {' or '.join(PARAMETER_NODES)}")
    return Parameters(**{name: value for name, value in values.items() if name in SPECS})  # type: ignore[arg-type]


def parse_profile(text: str) -> LatencyProfile:
    """A latency profile: a name of `PROFILES_MS`, 'TOTAL' of one phrase, or 'ENCODE,DECODE' of one phrase [ms].

    Raises:
        ParameterError: It is none of these.
    """
    if text in PROFILES_MS:
        return LatencyProfile.of_total_ms(PROFILES_MS[text])
    try:
        values_ms = [float(part) for part in text.split(",")]
    except ValueError:
        values_ms = []
    if len(values_ms) not in (1, 2) or min(values_ms) < 0:
        raise ParameterError(
            f"latency {text!r}: expected {', '.join(PROFILES_MS)}, milliseconds of a pass with one phrase, "
            "or milliseconds ENCODE,DECODE"
        )
    if len(values_ms) == 1:
        return LatencyProfile.of_total_ms(values_ms[0])
    return LatencyProfile(values_ms[0] / 1e3, values_ms[1] / 1e3)


def load_network(parameters: Parameters) -> Segmenter:
    """The segmenter that the parameters name, with torch's threads as they say.

    Raises:
        ModelLoadError: torch or transformers are missing, or the checkpoint cannot be loaded.
    """
    from samlite_ros.segmenter import check_dependencies, load_segmenter

    check_dependencies()
    return load_segmenter(parameters.segmenter_options())
