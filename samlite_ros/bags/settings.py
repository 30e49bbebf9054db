"""What a replay's command line names: the node's parameter file, a latency profile, the network."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from samlite_ros.bags.yaml_file import read_yaml
from samlite_ros.errors import ParameterError
from samlite_ros.node.parameters import SPECS, Parameters
from samlite_ros.streaming.runner import LatencyProfile
from samlite_ros.types import Segmenter

PROFILES_MS = {"orin-nx": 950.0, "thor": 126.0}
"""Published time of a whole pass of SAM3 with one phrase [ms]."""
MAX_MS = 1e9
"""No pass takes so long [ms]."""
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
    if len(values_ms) not in (1, 2) or not all(0 <= value < MAX_MS for value in values_ms):
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
