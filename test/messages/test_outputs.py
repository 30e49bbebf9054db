"""The table of outputs: what a row says is what is filled, once, and only where it is asked for."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="fills the messages of bags")

from samlite_ros.bags.message_types import BAG_MESSAGES
from samlite_ros.messages import outputs
from samlite_ros.messages.outputs import CAMERA_OUTPUTS, DIAGNOSTICS, QUERY_STATUS, AnsweredFrame, Kind
from samlite_ros.messages.topics import COMPRESSED_IMAGE, IMAGE, INPUTS
from samlite_ros.pixels.masks import NOTHING, mask_from_array
from samlite_ros.space.locator import Located
from samlite_ros.types import Frame, Instance, Prompt, Query, QueryKey, QueryMatch, QueryResult, Segmentation

STAMP_NS = 12_000_000_034


@pytest.fixture
def answered():
    inside = np.zeros((12, 20), bool)
    inside[3:7, 4:10] = True
    query = Query(QueryKey("planner", "q"), Prompt("red thing"), 7)
    mask = mask_from_array(inside)
    instance = Instance(1, (QueryMatch(query, 0.9),), 0.9, False, STAMP_NS, (4.0, 3.0, 10.0, 7.0), mask)
    result = QueryResult(query, STAMP_NS, 0.95, 1)
    answer = Segmentation(STAMP_NS, "optical", "front", (12, 20), "fake", 3, STAMP_NS, (result,), (instance,))
    frame = Frame(np.zeros((12, 20, 3), np.uint8), STAMP_NS, "optical", "front")
    return AnsweredFrame(answer, frame, located=Located(answer, "optical", (None,)))


@pytest.mark.parametrize("output", CAMERA_OUTPUTS, ids=lambda output: output.name)
def test_each_row_is_filled_with_its_type_and_the_header_of_its_frame(output, answered):
    message = output.fill(BAG_MESSAGES, answered)
    assert message.__msgtype__ == output.type_name
    header = message.markers[0].header if output.name == "~/markers" else message.header
    assert (header.stamp.sec, header.stamp.nanosec) == (12, 34)
    assert header.frame_id == "optical"


def test_names_per_camera_and_per_node():
    assert IMAGE.of() == "image" and IMAGE.of("front") == "front/image"
    assert COMPRESSED_IMAGE.of("front") == f"{IMAGE.of('front')}/compressed"
    segmentation = CAMERA_OUTPUTS[0]
    assert segmentation.of("front") == "~/front/segmentation"
    assert segmentation.of(node="/samlite") == "/samlite/segmentation"
    assert segmentation.of("front", "/samlite") == "/samlite/front/segmentation"
    assert QUERY_STATUS.of(node="/samlite") == "/samlite/query_status"
    assert DIAGNOSTICS.of(node="/samlite") == "/diagnostics"


def test_no_two_rows_share_a_topic():
    names = [topic.of() for topic in (*INPUTS, *CAMERA_OUTPUTS, QUERY_STATUS, DIAGNOSTICS)]
    assert len(set(names)) == len(names)


def test_what_is_told_once_an_epoch_is_latched_and_nothing_else_is():
    assert [(o.name, o.qos.latched) for o in CAMERA_OUTPUTS if o.per_epoch] == [("~/label_info", True)]
    assert not any(o.qos.latched for o in CAMERA_OUTPUTS if not o.per_epoch)


def test_rasters_and_overlay_are_drawn_once_for_all_outputs(answered):
    with (
        patch.object(outputs, "label_images", wraps=outputs.label_images) as rasters,
        patch.object(outputs, "draw_overlay", wraps=outputs.draw_overlay) as overlay,
    ):
        filled = {output.name: output.fill(BAG_MESSAGES, answered) for output in CAMERA_OUTPUTS}
    assert (rasters.call_count, overlay.call_count) == (1, 1)
    assert set(np.unique(filled["~/label_image"].data)) == {7, NOTHING}
    assert filled["~/instance_image"].encoding == "mono16"


def test_nothing_is_drawn_for_results_alone(answered):
    with patch.object(outputs, "label_images") as rasters, patch.object(outputs, "draw_overlay") as overlay:
        for output in CAMERA_OUTPUTS:
            if output.kind is Kind.RESULT:
                output.fill(BAG_MESSAGES, answered)
    assert not rasters.called and not overlay.called


def test_label_info_has_the_queries_of_the_answer(answered):
    (output,) = (o for o in CAMERA_OUTPUTS if o.per_epoch)
    (entry,) = output.fill(BAG_MESSAGES, answered).class_map
    assert (entry.class_id, entry.class_name) == (7, "red thing")


def test_labels_are_others_once_a_query_of_the_same_epoch_is_answered_too(answered):
    first = answered.answer.results[0]
    later = replace(first, query=replace(first.query, prompt=Prompt("cup"), class_id=8))
    both = AnsweredFrame(replace(answered.answer, results=(first, later)), answered.frame)
    again = AnsweredFrame(replace(answered.answer, instances=()), answered.frame)
    assert again.labels == answered.labels != both.labels
