"""What a node of each role publishes, reads, serves and calls: by the tables of topics, no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from samlite_ros.errors import ParameterError
from samlite_ros.messages.companion_topics import COMPRESSED_END, depth_candidates
from samlite_ros.messages.outputs import CAMERA_OUTPUTS, DIAGNOSTICS, QUERY_STATUS, Kind
from samlite_ros.messages.topics import BOND, COMPRESSED_IMAGE, IMAGE, QUERY, QUERY_SET, QUERY_TEXT, Topic
from samlite_ros.parameters.table import Parameters

OWN_TOPICS = ("/rosout", "/parameter_events")
"""Every node of rclpy and rclcpp publishes them."""
READ_BY_ALL = ("/parameter_events", "/clock")
"""Nodes of rclcpp read them, whether they need to or not; ours reads /clock with use_sim_time."""
PARAMETER_SERVICES = (
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
)
LIFECYCLE_SERVICES = (
    "change_state",
    "get_available_states",
    "get_available_transitions",
    "get_state",
    "get_transition_graph",
)
TYPE_SERVICE = "get_type_description"
"""Since Jazzy."""
TRANSFORMS = ("/tf", "/tf_static")
TRANSITION_EVENT = "transition_event"
ROLES = ("samlite", "planner", "camera", "viewer", "operator")


@dataclass(frozen=True)
class Rights:
    """Full names.

    Args:
        publish, subscribe: Topics.
        reply: Services that it offers.
        request: Services that it calls.
    """

    publish: frozenset[str] = frozenset()
    subscribe: frozenset[str] = frozenset()
    reply: frozenset[str] = frozenset()
    request: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Deployment:
    """What is started, as far as names depend on it.

    Args:
        parameters: The node's.
        node: Its full name.
        remappings: By name as the table has it, e.g. {'image': '/camera/color/image_raw'}.
        use_sim_time: The node reads /clock.
        peers: Full names of the other roles' nodes; one that is not given is called as its role.

    Raises:
        ParameterError: A name is none, or that of two roles; or a peer is of no role.
    """

    parameters: Parameters = field(default_factory=Parameters)
    node: str = "/samlite"
    remappings: Mapping[str, str] = field(default_factory=dict)
    use_sim_time: bool = False
    peers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (self.node, *self.peers.values(), *self.remappings.values()):
            if not _is_name(name):
                raise ParameterError(f"{name[:80]!r} is no full name, expected e.g. /robot1/samlite")
        if unknown := sorted(set(self.peers) - set(ROLES[1:])):
            raise ParameterError(f"there is no role {unknown[0][:80]!r}: {', '.join(ROLES[1:])}")
        taken: dict[str, str] = {}
        for role in ROLES:  # an enclave each: of two of one name the keys would be the same
            if (other := taken.setdefault(self.name_of(role), role)) != role:
                raise ParameterError(f"{other} and {role} are both named {self.name_of(role)[:80]!r}: each is a node")

    @property
    def namespace(self) -> str:
        """Of the node; empty = the graph's root."""
        return self.node.rpartition("/")[0]

    def name_of(self, role: str) -> str:
        """Full name of a role's node."""
        return self.node if role == "samlite" else self.peers.get(role, f"/{role}")

    def topic(self, topic: Topic, camera: str = "") -> str:
        """Full name of a topic, or of one camera's."""
        name = topic.of(camera, self.node)
        name = self.remappings.get(name, name)
        return name if name.startswith("/") else f"{self.namespace}/{name}"

    def image(self, camera: str) -> str:
        """Full name of a camera's images, in the transport that the parameters say."""
        name = self.topic(IMAGE, camera)
        compressed = self.parameters.image_transport == "compressed"
        return name + COMPRESSED_IMAGE.name.removeprefix(IMAGE.name) if compressed else name


def profiles(deployment: Deployment) -> dict[str, Rights]:
    """The rights of every role, the node's first.

    A planner asks and reads results; a camera publishes images, depth and calibration; a viewer reads what there is to
    see; an operator calls the services of parameters and of the lifecycle, which nobody else may.
    """
    makers = {
        "samlite": node_rights,
        "planner": _planner_rights,
        "camera": _camera_rights,
        "viewer": _viewer_rights,
        "operator": _operator_rights,
    }
    return {role: make(deployment) for role, make in makers.items()}


def node_rights(deployment: Deployment) -> Rights:
    """Of the node: a test compares them with the running graph."""
    values, node = deployment.parameters, deployment.node
    publish = [*OWN_TOPICS, f"{node}/{TRANSITION_EVENT}", *map(deployment.topic, (QUERY_STATUS, DIAGNOSTICS))]
    publish += _outputs(deployment, Kind)
    subscribe = [*map(deployment.topic, (QUERY, QUERY_SET, QUERY_TEXT))]
    subscribe += [deployment.image(camera) for camera in values.camera_names]
    subscribe += _companions(deployment) if values.positions else []
    subscribe += TRANSFORMS if values.positions and values.target_frame else ()
    subscribe += ["/clock"] if deployment.use_sim_time else []
    bond = [deployment.topic(BOND)] if values.keeps_bond else []
    services = (*PARAMETER_SERVICES, *LIFECYCLE_SERVICES, TYPE_SERVICE)
    return Rights(
        publish=frozenset([*publish, *bond]),
        subscribe=frozenset([*subscribe, *bond]),
        reply=frozenset(f"{node}/{service}" for service in services),
    )


def _outputs(deployment: Deployment, kinds: Iterable[Kind]) -> list[str]:
    """Topics of all cameras' outputs of these kinds."""
    rows = [output for output in CAMERA_OUTPUTS if output.kind in kinds]
    return [deployment.topic(row, camera) for row in rows for camera in deployment.parameters.camera_names]


def _companions(deployment: Deployment) -> list[str]:
    """Depth and calibration of every camera: where the parameters say, else under the names that are looked for."""
    values, found = deployment.parameters, list[str]()
    for i, camera in enumerate(values.camera_names):
        image = deployment.image(camera)
        given = [names[i] if i < len(names) else "" for names in (values.depth_topics, values.camera_info_topics)]
        depths = [_full(deployment, given[0])] if given[0] else depth_candidates(image)
        for depth in depths:
            plain = depth.removesuffix(COMPRESSED_END)
            found += [plain + COMPRESSED_END, *([plain] if depth == plain else [])]
        beside = [image.removesuffix("/compressed"), *(depth.removesuffix(COMPRESSED_END) for depth in depths)]
        infos = [f"{name.rpartition('/')[0]}/camera_info" for name in beside]
        found += [_full(deployment, given[1])] if given[1] else infos
    return found


def _full(deployment: Deployment, name: str) -> str:
    return name if name.startswith("/") else f"{deployment.namespace}/{name}"


def _foreign(deployment: Deployment, role: str, **rights: Iterable[str]) -> Rights:
    """Rights of a node that is not ours, with what it needs for being a node."""
    services = (*PARAMETER_SERVICES, TYPE_SERVICE)
    return Rights(
        publish=frozenset([*OWN_TOPICS, *rights.get("publish", ())]),
        subscribe=frozenset([*READ_BY_ALL, *rights.get("subscribe", ())]),
        reply=frozenset(f"{deployment.name_of(role)}/{service}" for service in services),
        request=frozenset(rights.get("request", ())),
    )


def _planner_rights(deployment: Deployment) -> Rights:
    asks = [deployment.topic(topic) for topic in (QUERY, QUERY_SET, QUERY_TEXT)]
    answers = [deployment.topic(QUERY_STATUS), *_outputs(deployment, (Kind.RESULT,))]
    return _foreign(deployment, "planner", publish=asks, subscribe=answers)


def _camera_rights(deployment: Deployment) -> Rights:
    values = deployment.parameters
    images = [deployment.image(camera) for camera in values.camera_names]
    companions = _companions(deployment) if values.positions else []
    return _foreign(deployment, "camera", publish=[*images, *companions])


def _viewer_rights(deployment: Deployment) -> Rights:
    shown = [deployment.topic(QUERY_STATUS), deployment.topic(DIAGNOSTICS), *_outputs(deployment, Kind), *TRANSFORMS]
    images = [deployment.image(camera) for camera in deployment.parameters.camera_names]
    return _foreign(deployment, "viewer", subscribe=[*shown, *images])


def _operator_rights(deployment: Deployment) -> Rights:
    node = deployment.node
    services = [f"{node}/{service}" for service in (*PARAMETER_SERVICES, *LIFECYCLE_SERVICES, TYPE_SERVICE)]
    heard = [f"{node}/{TRANSITION_EVENT}", deployment.topic(DIAGNOSTICS), deployment.topic(QUERY_STATUS), "/rosout"]
    keeps_bond = deployment.parameters.keeps_bond
    bond = [deployment.topic(BOND)] if keeps_bond else []
    return _foreign(deployment, "operator", publish=bond, subscribe=[*heard, *bond], request=services)


def _is_name(name: str) -> bool:
    parts = name.split("/")
    return len(parts) > 1 and not parts[0] and all(p.isidentifier() and p.isascii() for p in parts[1:])
