"""Transitions asked for from outside: what takes long is done before, while everything else is served."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from samlite_ros.foreign.words import named

SHUTDOWN = "shutdown"


Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def told(transition: Transition) -> Transition:
    """rclpy swallows what a transition raises: tell it."""

    @wraps(transition)
    def guarded(self: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except Exception:
            self.get_logger().error(f"{transition.__name__}: {traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR

    return guarded


class Transitions:
    """Answers the node's `change_state` service.

    rclpy's own service calls `on_configure` and the others on the executor's thread, which serves nothing else
    meanwhile, and raises, without an answer, where the state does not allow a transition.

    Args:
        node: Whose transitions they are.
        prepare: Does beforehand what takes long; returns why the transition cannot be made, empty = it can.
        refuse: Tells a refusal: why, and the line.
    """

    def __init__(
        self, node: LifecycleNode, prepare: Callable[[str], Awaitable[str]], refuse: Callable[[str, str], None]
    ) -> None:
        self._node, self._prepare, self._refuse = node, prepare, refuse
        self._under_way = ""
        service = next(s for s in node.services if s.srv_name.endswith("/change_state"))
        self._change = service.callback
        service.callback = self._on_request  # type: ignore[assignment]  # rclpy awaits a coroutine
        service.callback_group = ReentrantCallbackGroup()  # others are answered while this one waits
        service.callback_group.add_entity(service)

    async def _on_request(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        response.success = False
        name = self._allowed_name(request)
        why = self._why_not(name) or await self._prepared(name)
        if why:
            wanted = request.transition
            self._refuse(why, f"transition {name or named(wanted.label or str(wanted.id))} is refused {why}")
            return response
        try:
            self._change(request, response)
        except Exception as error:  # another state meanwhile
            self._refuse(name, f"transition {name} is refused: {error}")
        return response

    def _why_not(self, name: str) -> str:
        if not name:
            return f"while {self._node._state_machine.current_state[1]}"
        if self._under_way and name != SHUTDOWN:
            return f"while {self._under_way} is under way"
        return ""

    async def _prepared(self, name: str) -> str:
        before, self._under_way = self._under_way, name
        try:
            return await self._prepare(name)
        finally:
            self._under_way = before

    def _allowed_name(self, request: ChangeState.Request) -> str:
        """Of the transition that is asked for, by label or else by number; empty = the state does not allow it."""
        wanted = request.transition
        for number, label, *_ in self._node._state_machine.available_transitions:
            if label == wanted.label if wanted.label else number == wanted.id:
                return str(label)
        return ""
