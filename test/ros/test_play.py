"""`samlite play` feeds the node as a camera would: the same masks as a replay, and loops with /clock."""

import os
import subprocess
import sys
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
from graph import RELIABLE, graph, scene, stamp_of
from mcap.writer import Writer as McapWriter
from node_process import REAL_NODE, graph_environment, own_domain
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ResultBag
from samlite_ros.bags.writer import BagWriter
from samlite_ros.demo.make_bag import MadeBag, make_bag
from samlite_ros.messages.fill import image_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.pixels.masks import decode_rle
from samlite_ros.play.player import _Player
from samlite_ros.play.player import play as play_bag
from samlite_ros.play.schedule import PlayOptions
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.scenes import SequenceOptions
from samlite_ros.segmenter.load import load_segmenter

FRAMES = 5
TOPIC = "/camera/image"


def play(domain, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "samlite_ros.commands.cli", "play", *map(str, arguments)],
        env={**os.environ, **graph_environment(domain)},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Five rendered frames, half a second apart."""
    folder = tmp_path_factory.mktemp("made")
    bag = MadeBag(kind="fly", seed=1, scenes=SequenceOptions(size=(240, 320), rate_hz=2.0, frames=FRAMES), topic=TOPIC)
    make_bag(folder / "bag", bag)
    return folder / "bag"


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_interrupted_player_does_not_wait_for_subscribers_that_may_have_gone_too(made, monkeypatch, interrupted):
    """It would wait for 5 s, which is as long as launch waits for it."""
    waited = []

    def run(player):
        if interrupted:
            raise KeyboardInterrupt
        return 7

    monkeypatch.setattr(_Player, "run", run)
    monkeypatch.setattr(_Player, "wait_until_acknowledged", lambda player: waited.append(True))
    expected = pytest.raises(KeyboardInterrupt) if interrupted else nullcontext()
    with own_domain() as domain, BagReader(made) as reader, expected:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        assert play_bag(reader, PlayOptions()) == 7
    assert bool(waited) != interrupted


def test_played_slowly_the_node_answers_as_replay_does(made, tmp_path):
    phrases = ["green cone", "red box"]
    parameters = Parameters(propagate=False)
    replay(
        made,
        tmp_path / "out",
        ReplayOptions(phrases=tuple(phrases), parameters=parameters),
        load_segmenter(parameters.segmenter_options()),
    )
    with ResultBag(tmp_path / "out") as bag:
        expected = [answer.segmentation for answer in bag.answers()]
    reliable = {f"qos_overrides.{TOPIC}.subscription.reliability": "reliable"}  # no frame may be lost on the way
    options = {"parameters": {"propagate": False, "queries": phrases, **reliable}, "remappings": {"image": TOPIC}}
    with graph(REAL_NODE, **options) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        for phrase in phrases:
            client.wait_until_active(phrase, "parameters")
        player = play(node.domain, made, "--wait", 60, "--delay", 1, "--rate", 0.5)
        client.wait_for(lambda: player.poll() is not None, "end of the player")
        client.wait_for(lambda: answers and stamp_of(answers[-1].header.stamp) == expected[-1].stamp_ns, "last answer")
        assert player.returncode == 0
    for answer, want in zip(answers, expected, strict=True):
        assert (stamp_of(answer.header.stamp), answer.header.frame_id) == (want.stamp_ns, want.frame_id)
        assert len(answer.instances) == len(want.instances)
        for instance, wanted in zip(answer.instances, want.instances, strict=True):
            assert instance.matches[0].text == wanted.matches[0].query.text
            assert instance.confidence == pytest.approx(wanted.confidence, abs=1e-6)
            mask = decode_rle(np.array(instance.counts), instance.height, instance.width)
            assert np.array_equal(mask, wanted.mask.full())
    assert sum(len(want.instances) for want in expected) > 0


def test_the_last_messages_arrive_though_the_player_has_nothing_more_to_do(tmp_path):
    picture = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic(TOPIC, IMAGE)
        for stamp_ns in range(1, 9):
            bag.write(TOPIC, stamp_ns, image_message(BAG_MESSAGES, picture, "rgb8", stamp_ns, "optical"))
    with graph() as (client, node):
        images = client.listen(TOPIC, Image, RELIABLE)
        player = play(node.domain, tmp_path / "bag", "--wait", 60, "--delay", 1)
        client.wait_for(lambda: player.poll() is not None, "end of the player")
        client.wait_for(lambda: len(images) == 8, "all images", timeout_s=5.0)


def goes_back(times):
    return any(after < before for before, after in pairwise(times))


def test_looped_bag_with_clock_is_answered_round_after_round(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic(TOPIC, IMAGE)
        for index in range(4):
            stamp_ns = 1_000_000_000_000 + index * 200_000_000
            bag.write(TOPIC, stamp_ns, image_message(BAG_MESSAGES, scene("red"), "rgb8", stamp_ns, "optical"))
    options = {"parameters": {"use_sim_time": True, "queries": ["red thing"]}, "remappings": {"image": TOPIC}}
    with graph(**options) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        ticks = client.listen("/clock", Clock, 10)
        player = play(node.domain, tmp_path / "bag", "--loop", "--clock", 50)
        try:
            first = 1_000_000_000_000
            client.wait_for(lambda: [stamp_of(a.header.stamp) for a in answers].count(first) >= 3, "third round")
            client.wait_for(lambda: goes_back([stamp_of(t.clock) for t in ticks]), "clock that goes back")
        finally:
            player.terminate()
            player.wait(30)
    times = [stamp_of(tick.clock) for tick in ticks]
    assert min(times) >= first
    assert max(times) <= first + 600_000_000
    assert any(answer.instances for answer in answers[-4:])  # still found after time went back


def test_a_topic_that_is_not_there_is_refused_with_those_that_are(made):
    command = [
        sys.executable,
        "-m",
        "samlite_ros.commands.cli",
        "play",
        str(made),
        "--topic",
        TOPIC,
        "--topic",
        "/nothing",
    ]
    played = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert played.returncode == 1
    assert f"no topic /nothing; topics in this bag: {TOPIC} (sensor_msgs/msg/Image, {FRAMES} messages)" in played.stderr


def test_topics_that_are_not_of_ros_are_left_out_in_words(tmp_path):
    with (tmp_path / "a.mcap").open("wb") as stream:
        writer = McapWriter(stream)
        writer.start(profile="")
        schema = writer.register_schema("acme.Photo", "protobuf", b"")
        for topic, number, encoding in (("/photo", schema, "protobuf"), ("/note", 0, "json"), ("/bare", 0, "")):
            writer.add_message(writer.register_channel(topic, encoding, number), 1, b"{}", 1)
        writer.finish()
    command = [sys.executable, "-m", "samlite_ros.commands.cli", "play", str(tmp_path / "a.mcap")]
    played = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert played.returncode == 1
    assert "nothing to play; topics in this bag: /bare" in played.stderr
    assert "/photo (acme.Photo in protobuf, 1 messages)" in played.stderr
    assert "Traceback" not in played.stderr
