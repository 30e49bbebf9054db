"""Depth images and calibrations of a bag travel with their frames, and change nothing else."""

import filecmp

import numpy as np
import pytest
from bag_world import SIZE, TOPIC, colour_segmenter, draw_world, stamp_of

from samlite_ros.bags.frames import bag_companions, choose_image_topics, read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.message_types import BAG_MESSAGES, CAMERA_INFO, IMAGE, STRING
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.messages.fill import header_message, image_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, prepared, replay
from samlite_ros.replay.result_writer import ResultOptions

DEPTH, INFO = "/depth/image", "/camera/camera_info"
COMPANIONS = {DEPTH: "", INFO: ""}
FRAMES = 8
LATE, DAMAGED = 3, 5
"""Frames whose depth image was recorded after them, or is cut."""
QUIET = ResultOptions(timeline=False)


def depth_of(index: int) -> np.ndarray:
    return np.full(SIZE, 1000 + index, np.uint16)


def depth_message(index: int):
    message = image_message(BAG_MESSAGES, depth_of(index), "16UC1", stamp_of(index) - 2_000_000, "optical")
    if index == DAMAGED:
        message.data = message.data[:50]
    return message


def info_message(index: int):
    whole = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
    return BAG_MESSAGES.new(
        CAMERA_INFO,
        header=header_message(BAG_MESSAGES, stamp_of(index), "optical"),
        height=SIZE[0],
        width=SIZE[1],
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([500.0, 0, 80, 0, 500, 60, 0, 0, 1]),
        r=np.eye(3).ravel(),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=BAG_MESSAGES.new("sensor_msgs/msg/RegionOfInterest", **whole),
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("companions") / "bag"
    with BagWriter(path) as bag:
        for topic, type_name in ((TOPIC, IMAGE), (DEPTH, IMAGE), (INFO, CAMERA_INFO), ("/note", STRING)):
            bag.add_topic(topic, type_name)
        for index in range(FRAMES):
            image = image_message(BAG_MESSAGES, draw_world(index), "rgb8", stamp_of(index), "optical")
            if index == 1:
                bag.write(INFO, stamp_of(index) + 1_000_000, info_message(index))
            messages = [(DEPTH, depth_message(index)), (TOPIC, image)]
            for topic, message in messages[:: -1 if index == LATE else 1]:
                bag.write(topic, stamp_of(index) + 5_000_000, message)
    return path


def frames_of(path):
    with BagReader(path) as reader:
        cameras = choose_image_topics(reader, [TOPIC])
        companions = bag_companions(reader, cameras, COMPANIONS)
        index = index_bag(reader, list(cameras))
        frames = [decoded.frame for decoded in read_frames(reader, index, cameras, companions)]
        return frames, companions[TOPIC]


def test_each_frame_has_what_was_recorded_before_it_or_soon_after(recording):
    frames, companions = frames_of(recording)
    for index, frame in enumerate(frames):
        assert (frame.depth is None) == (index == DAMAGED)
        assert frame.calibration is not None
        if frame.depth is not None:
            assert frame.depth.depth[0, 0] == 1000 + index
    counters = companions.depth.counters
    assert (counters.matched, counters.missed, counters.late) == (FRAMES - 1, 1, 1)
    assert counters.apart_max_ns == 2_000_000
    assert companions.rejected == 1 and "50 bytes" in companions.last_rejection
    assert frames[-1].calibration.camera_matrix[0, 0] == 500


def test_the_network_gets_them_in_a_replay_and_the_summary_counts(recording, tmp_path):
    seen = {}
    segmenter = colour_segmenter(keep=lambda frame: seen.setdefault(frame.stamp_ns, frame))
    options = ReplayOptions((TOPIC,), COMPANIONS, ("red thing",), result=QUIET)
    outcome = replay(recording, tmp_path / "out", options, segmenter)
    assert seen[stamp_of(2)].depth.depth[0, 0] == 1002 and seen[stamp_of(2)].calibration is not None
    depth = outcome.summary["companions"][""]["depth"]
    assert (depth["matched"], depth["missed"], depth["late"]) == (FRAMES - 1, 1, 1)


def test_a_replay_with_depth_gives_the_same_bytes_twice_and_the_same_answers_as_without(recording, tmp_path):
    for name, topics in (("alone", {}), ("with", COMPANIONS), ("again", COMPANIONS)):
        parameters = Parameters(positions=bool(topics))
        options = ReplayOptions((TOPIC,), topics, ("red thing",), parameters=parameters, result=QUIET)
        replay(recording, tmp_path / name, options, colour_segmenter())
    names = ["messages.mcap", "metadata.yaml", "summary.json"]
    same, differ, odd = filecmp.cmpfiles(tmp_path / "with", tmp_path / "again", names, shallow=False)
    assert (len(same), differ, odd) == (3, [], [])
    answers = [messages_of(tmp_path / name, "/samlite/segmentation") for name in ("alone", "with")]
    assert len(answers[0]) == FRAMES and answers[0] == answers[1]
    places = messages_of(tmp_path / "with", "/samlite/detections_3d")
    assert len(places) == FRAMES - 1
    assert not messages_of(tmp_path / "alone", "/samlite/detections_3d")


def messages_of(bag, topic):
    with BagReader(bag) as reader:
        return [message.data for message in reader.messages([topic])]


@pytest.mark.parametrize(
    ("topics", "words"),
    [({"/nowhere": ""}, "/nowhere"), ({"/note": ""}, "/note"), ({DEPTH: "left"}, "'left'")],
)
def test_topics_that_cannot_be_companions_are_named_before_the_start(recording, tmp_path, topics, words):
    options = ReplayOptions((TOPIC,), topics, ("red thing",))
    with pytest.raises(BagError, match=words), prepared(recording, tmp_path / "out", options):
        pytest.fail("a network would be loaded")
