"""The lifecycle node: topics, timers and transitions, wired to the workers. No image is looked at on this thread."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from samlite_ros.errors import ParameterError, PhraseTooLongError
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.live.failure_log import FailureLog, described
from samlite_ros.live.memory import settle_memory
from samlite_ros.live.network_worker import NetworkWorker
from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.live.watchdog import Limits
from samlite_ros.messages.outputs import DIAGNOSTICS, QUERY_STATUS
from samlite_ros.network.host import NetworkHost
from samlite_ros.network.place import NetworkPlace
from samlite_ros.node.bond import Bond
from samlite_ros.node.console import Console, last_line
from samlite_ros.node.decoding import frame_decoder
from samlite_ros.node.diagnostics import Report
from samlite_ros.node.facts import NodeFacts
from samlite_ros.node.image_input import ImageInput
from samlite_ros.node.model import Model
from samlite_ros.node.parameter_server import check_qos_overrides, declare_parameters, unknown_parameters, values_of
from samlite_ros.node.positions import Positions, make_positions
from samlite_ros.node.publishers import CameraPublishers
from samlite_ros.node.qos import QosWatch
from samlite_ros.node.query_input import QueryInput
from samlite_ros.node.spinning import Waits
from samlite_ros.node.status_output import StatusOutput
from samlite_ros.node.transitions import Transitions, told
from samlite_ros.parameters.table import Parameters, updated
from samlite_ros.queries import PARAMETER_CLIENT, QueryRegistry, Refusal, State
from samlite_ros.segmenter.load import SegmenterFactory, load_segmenter
from samlite_ros.space.locator import Located
from samlite_ros.streaming.recall import Recalled
from samlite_ros.streaming.stamps import Stamp
from samlite_ros.types import Prompt, Segmentation

TICK_S = 0.1
NETWORK_JOIN_S, STREAM_JOIN_S = 2.0, 0.5
PROCESS_JOIN_S = 0.5
"""A network in a process of its own is asked so long to end its pass [s]; then its process is ended."""


class SamliteNode(LifecycleNode):
    """Answers where the queried phrases are in the cameras' images.

    Args:
        segmenter_factory: Builds the segmenter.
        host: Has the same factory, for a process of the network's own; None = on a thread of this process, as where the
            parameter `network_process` is false.

    Raises:
        ParameterError: A parameter given at start is wrong.
    """

    def __init__(self, segmenter_factory: SegmenterFactory = load_segmenter, host: NetworkHost | None = None) -> None:
        super().__init__("samlite")
        self._values = declare_parameters(self)
        check_qos_overrides(self)
        own_process = host if self._values.network_process else None
        self._place = NetworkPlace(segmenter_factory, own_process, self.get_logger().warning)
        self._registry = QueryRegistry(self._values.query_options())
        self._vocabulary = self._registry.vocabulary
        self._phase = "unconfigured"
        self._is_autostarting = False
        self._callback_failures = 0
        self._tasks: deque[Callable[[], None]] = deque()
        self._tasks_guard = self.create_guard_condition(self._run_tasks)
        logger = self.get_logger()  # which allows each place in the code one severity only
        self._failure_log = FailureLog(lambda line: logger.error(line))  # noqa: PLW0108
        self._refusal_log = FailureLog(lambda line: logger.warning(line))  # noqa: PLW0108
        self._qos = QosWatch(self)
        period_s = self._values.bond_period if self._values.keeps_bond else 0.0
        self._bond = Bond(self._qos, self.get_name(), period_s, self._now_ns, logger.info, logger.warning)
        self._status_publisher = self._qos.publisher(QUERY_STATUS)
        listened = self._status_publisher.get_subscription_count
        self._camera_publishers = [
            CameraPublishers(self._qos, name, self._values.overlay_jpeg_quality, listened)
            for name in self._values.camera_names
        ]
        self._positions, self._target_fault = make_positions(
            self, self._qos, self._values, self._camera_publishers, self._on_places
        )
        self._streams = [
            self._make_stream(*pair) for pair in zip(self._camera_publishers, self._positions, strict=True)
        ]
        self._network = NetworkWorker(
            self._streams,
            on_prompt=lambda prompt, error: self._post(lambda: self._on_prompt(prompt, error)),
            on_failure=partial(self._on_failure, "network"),
        )
        self._waits = Waits(self._post)
        self._model = Model(self._network, self._place, self._waits)
        self._status_output = StatusOutput(self._status_publisher, self._registry, self._now_ns)
        self._create_topics()
        for line in unknown_parameters(self):
            self.get_logger().warning(line)
        Transitions(self, self._prepare, self._refusal_log.tell)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._apply_parameters()

    @property
    def values(self) -> Parameters:
        """The parameters in force."""
        return self._values

    def start(self) -> None:
        """Start the workers and, with autostart, the way to ACTIVE; services are served meanwhile."""
        for stream in self._streams:
            stream.start()
        self._network.start()
        if self._values.autostart:
            self._is_autostarting = True
            loading = self._model.begin(self._values.segmenter_options())
            loading.add_done_callback(lambda _: self._post(self._autostart))

    def stop(self) -> bool:
        """Cancel a running pass and end the workers; returns whether all of them ended in time."""
        deadline_s = time.monotonic() + STREAM_JOIN_S
        ended = [stream.stop(max(0.0, deadline_s - time.monotonic())) for stream in self._streams]
        if self._place.has_process and not self._network.stop(PROCESS_JOIN_S):
            self._place.end()
        return self._network.stop(NETWORK_JOIN_S) and all(ended)

    def destroy_node(self) -> None:
        """Leave the graph; rclpy forgets the state machine, which keeps the participant and its shared memory."""
        self._state_machine.destroy_when_not_in_use()
        super().destroy_node()

    @told
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the model that was loaded; fails with a line in the log where it could not be."""
        if not self._model.take():
            name = self.get_fully_qualified_name()
            self.get_logger().error(
                f"{self._model.failure}; {name} waits unconfigured: ros2 lifecycle set {name} configure"
            )
            return TransitionCallbackReturn.FAILURE
        if self._target_fault:
            self.get_logger().error(self._target_fault)
            return TransitionCallbackReturn.FAILURE
        if self._values.opencv_threads:
            cv2.setNumThreads(self._values.opencv_threads)
        settle_memory()
        self._phase = "inactive"
        self._on_queries_changed()
        self.get_logger().info(f"model {self._model.model_id} is loaded; it computes on {self._network.computes}")
        return TransitionCallbackReturn.SUCCESS

    @told
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Answer images."""
        for stream in self._streams:
            stream.set_active(True)
        self._phase = "active"
        self._bond.form(time.monotonic())
        for image_input in self._inputs:
            self.get_logger().info(f"listens to {image_input.in_words()}")
        return TransitionCallbackReturn.SUCCESS

    @told
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Answer no more; model and queries stay."""
        for stream in self._streams:
            stream.set_active(False)
        self._phase = "inactive"
        self._bond.end(time.monotonic())
        return TransitionCallbackReturn.SUCCESS

    @told
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the model go; queries stay and wait."""
        self._release_model("unconfigured")
        return TransitionCallbackReturn.SUCCESS

    @told
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let everything go."""
        self._release_model("finalized")
        return TransitionCallbackReturn.SUCCESS

    @told
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._release_model("unconfigured")
        return TransitionCallbackReturn.SUCCESS

    def _create_topics(self) -> None:
        self._diagnostics_publisher = self._qos.publisher(DIAGNOSTICS)
        queries = QueryInput(self._registry, self._now_ns, self._on_queries_changed, self._refusal_log.tell)
        for topic, callback in queries.callbacks.items():
            self._qos.subscription(topic, callback, raw=True)
        transport = self._values.image_transport
        self._inputs = [
            ImageInput(self, self._qos, stream.camera, transport, partial(self._on_image, stream))
            for stream in self._streams
        ]
        for positions, image_input, stream in zip(self._positions, self._inputs, self._streams, strict=True):
            positions.follow_image(image_input, stream.put_companion)
        name, console = self.get_fully_qualified_name(), Console(self.get_logger())
        self._report = Report(name, self._streams, self._inputs, self._positions, console)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # timers on ROS time would stand still without /clock
        self.create_timer(TICK_S, self._on_tick, clock=steady)
        self.create_timer(1.0, self._on_diagnostics, clock=steady)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_time_jump)

    def _make_stream(self, publishers: CameraPublishers, positions: Positions) -> StreamWorker:
        camera = publishers.camera
        return StreamWorker(
            camera,
            self._values.streaming_options(),
            frame_decoder(camera, self._values.image_transport, lambda: self._values.max_image_pixels),
            publishers,
            companions=positions.companions,
            locating=positions.locating,
            on_work=self._poke_network,
            on_answer=self._on_answer,
            on_recall=self._on_recall,
            on_failure=partial(self._on_failure, f"camera {camera}".rstrip()),
        )

    def _on_image(self, stream: StreamWorker, message: Any, header_ns: int) -> None:
        """Hand an image on; where its driver sets no stamp, the time of its arrival stands in for it."""
        stream.put_image(message, Stamp.of(header_ns, self._now_ns()))

    def _limits(self) -> Limits:
        return Limits(self._values.load_timeout, self._values.network_timeout)

    async def _prepare(self, transition: str) -> str:
        """Before a transition that was asked for: load the model, or let it go; returns why it cannot be made."""
        if self._values.read_only:
            return "from outside (read_only)"
        if transition == "configure":
            self._is_autostarting = False
            return await self._model.loaded(self._values.segmenter_options(), self._limits())
        if transition in ("cleanup", "shutdown"):
            for stream in self._streams:
                stream.set_active(False)
            why = await self._model.released()
            return why if transition == "cleanup" else ""
        return ""

    def _autostart(self) -> None:
        if self._is_autostarting:
            self._is_autostarting = False
            self.trigger_configure()
            if self._phase == "inactive":
                self.trigger_activate()

    def _release_model(self, phase: str) -> None:
        for stream in self._streams:
            stream.set_active(False)
        self._model.release()
        self._phase = phase
        self._bond.end(time.monotonic())
        self._registry.suspend()
        self._on_queries_changed()

    def _on_queries_changed(self) -> None:
        if self._registry.vocabulary is not self._vocabulary:
            self._vocabulary = self._registry.vocabulary
            for stream in self._streams:
                stream.set_vocabulary(self._vocabulary)
        self._network.embed_prompts(self._registry.pending_prompts)  # last: what a stream's job can embed is its affair

    def _on_prompt(self, prompt: Prompt, error: Exception | None) -> None:
        if error is None:
            self._registry.prompt_ready(prompt)
        else:
            reason = Refusal.TEXT_TOO_LONG if isinstance(error, PhraseTooLongError) else Refusal.MODEL_ERROR
            if self._registry.prompt_failed(prompt, reason, str(error), self._now_ns()):
                self._refusal_log.tell("phrases", f"phrase {quoted(prompt.display)} is refused: {error}")

    def _on_tick(self) -> None:
        self._run_tasks()
        self._waits.look()
        self._model.watch(self._limits())
        self._registry.advance(self._now_ns())
        self._on_queries_changed()
        self._registry.hold_up(self._report.hold_ups(self._facts(), self._network.counters))
        self._status_output.tell(time.monotonic())
        self._bond.beat(time.monotonic())

    def _on_diagnostics(self) -> None:
        self._failure_log.tell_rest()
        self._refusal_log.tell_rest()
        states = [status.state for status in self._registry.statuses()]
        facts = replace(
            self._facts(),
            active=states.count(State.ACTIVE),
            pending=states.count(State.PENDING),
            mismatches=self._qos.mismatches(),
        )
        message = self._report.message(facts, self._network.counters, self._values.image_timeout, self._now_ns())
        self._diagnostics_publisher.publish(message)

    def _facts(self) -> NodeFacts:
        return NodeFacts(
            state=self._phase,
            model=self._values.model,
            model_id=self._model.model_id,
            computes=self._network.computes,
            load_failure=last_line(self._model.failure),
            loading=self._model.is_loading,
            delay=self._model.delay,
            lost_host=self._place.lost_host,
            callback_failures=self._callback_failures,
            network_process=self._model.process,
            mask_age_limit_s=self._values.max_mask_age if self._values.propagate else math.inf,
        )

    def _on_time_jump(self, jump: object) -> None:
        for stream in self._streams:
            stream.flush()

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        if self._values.read_only:
            return SetParametersResult(successful=False, reason="parameters cannot be changed from outside (read_only)")
        configured, before = self._phase != "unconfigured" or self._model.is_loading, self._values
        try:
            self._values = updated(before, values_of(parameters), configured=configured)
            self._apply_parameters()
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # those before work
            self._values = before
            self._apply_parameters()
            self.on_callback_failure(error)
            return SetParametersResult(successful=False, reason=one_line(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self) -> None:
        values = self._values
        self._registry.configure(values.query_options())
        self._registry.replace_texts(PARAMETER_CLIENT, values.queries, self._now_ns())
        for stream, publishers in zip(self._streams, self._camera_publishers, strict=True):
            stream.set_options(values.streaming_options(), values.search_always)
            publishers.jpeg_quality = values.overlay_jpeg_quality
        self._network.remember(values.memory())
        self._on_queries_changed()

    def _poke_network(self) -> None:
        """On a stream's thread; the network's worker is made after the streams."""
        self._network.poke()

    def _on_answer(self, answer: Segmentation) -> None:
        """On a stream's thread; the next tick is soon enough, for statuses are told by ticks."""
        self._tasks.append(lambda: self._registry.record(answer))

    def _on_recall(self, found: Recalled) -> None:
        """On the network's thread."""
        self._tasks.append(lambda: self._registry.record_recall(*found.as_told))

    def _on_places(self, located: Located) -> None:
        """On a stream's thread."""
        self._tasks.append(lambda: self._registry.record_places(located.answer, located.places))

    def _on_failure(self, who: str, what: str) -> None:
        """On a worker's thread."""
        if self.context.ok():  # when ROS is shut down publishing fails, which is no news
            self._failure_log(who, what)

    def on_callback_failure(self, error: Exception) -> None:
        """A callback on the executor's thread raised what nobody caught: count and tell it."""
        self._callback_failures += 1
        self._on_failure("a callback", described(error))

    def _post(self, task: Callable[[], None]) -> None:
        """Have it done on the executor's thread."""
        self._tasks.append(task)
        if self.context.ok():
            self._tasks_guard.trigger()

    def _run_tasks(self) -> None:
        while self._tasks:
            self._tasks.popleft()()
        self._on_queries_changed()  # once: of a hundred new phrases each may have been one task

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)
