"""The cost of a frame."""

from samlite_ros.bench.streaming.cost import frame_costs
from samlite_ros.scenes.clips import many_things, pendulum

SMALL = (120, 160)


def test_the_cost_of_a_frame_holds_its_messages():
    costs = frame_costs(pendulum(many_things(0, 4, SMALL, 15), 25))
    assert costs and all(c.instances == 4 for c in costs[2:])
    assert all(0 < c.messages_cpu_s < c.cpu_s for c in costs)
