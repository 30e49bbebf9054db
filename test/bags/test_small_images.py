"""Images of a few pixels are answered as all others are."""

from pathlib import Path

import numpy as np
import pytest
from bag_world import COLOURS, TOPIC, colour_segmenter, stamp_of

from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE
from samlite_ros.bags.results import ResultBag
from samlite_ros.bags.writer import BagWriter
from samlite_ros.messages.fill import image_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 2), (3, 1), (3, 3), (1, 500), (5, 4)])
@pytest.mark.parametrize("propagate", [False, True])
def test_images_of_a_few_pixels_do_not_end_a_replay(tmp_path: Path, size: tuple[int, int], propagate: bool) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic(TOPIC, IMAGE)
        for i in range(6):
            image = np.full((*size, 3), 90, np.uint8)
            image[:, : max(size[1] // 2, 1)] = COLOURS["red"]
            bag.write(TOPIC, stamp_of(i), image_message(BAG_MESSAGES, image, "rgb8", stamp_of(i), ""))
    parameters = Parameters(propagate=propagate)
    options = ReplayOptions(phrases=("red thing",), parameters=parameters, result=ResultOptions(images=True))
    replay(tmp_path / "bag", tmp_path / "out", options, colour_segmenter())
    with ResultBag(tmp_path / "out") as result:
        answers = [answer for answer, _ in result.answers()]
    assert [answer.size for answer in answers] == [size] * 6
    assert [len(answer.instances) for answer in answers] == [not propagate, 1, 1, 1, 1, 1]
