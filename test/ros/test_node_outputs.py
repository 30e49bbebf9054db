"""Image and query in, every output field by field, over a real graph."""

import math

import numpy as np
import pytest
from fake_node import SCORE
from graph import graph, scene, stamp_of

from samlite_ros.msg import QueryStatus
from samlite_ros.pixels.decode import decode_compressed_image, decode_image
from samlite_ros.pixels.masks import NOTHING, decode_rle

RED, BLUE = (slice(10, 22), slice(4, 16)), (slice(10, 22), slice(24, 36))
PHRASES = {"r": "Red  Thing", "b": "blue thing", "g": "green thing"}


@pytest.fixture(scope="module", params=[False, True], ids=["keyframes", "carried"])
def answered(request):
    """All that came for one frame that shows a red and a blue square, asked for red, blue and green."""
    with graph(parameters={"propagate": request.param}) as (client, _):
        collected = client.listen_to_outputs()
        for id, text in PHRASES.items():
            client.query(id, text)
        for id in PHRASES:
            client.wait_until_active(id)
        answer = client.answer_to(scene("red", "blue"), collected["segmentation"], frame_id="optical frame")
        yield Answered(client, answer, collected, request.param)


class Answered:
    def __init__(self, client, answer, collected, propagate):
        self.client, self.answer, self.propagate, self._collected = client, answer, propagate, collected
        self.labels = {q.id: q.class_id for q in client.statuses.values()}

    def __getitem__(self, output):
        """The message on this topic with the answer's stamp."""
        stamp = self.answer.header.stamp

        def found():
            return [m for m in self._collected[output] if m.header.stamp == stamp]

        (message,) = self.client.wait_for(found, f"{output} of the answer's stamp")
        assert message.header.frame_id == "optical frame"
        return message

    @property
    def label_info(self):
        return self._collected["label_info"][-1]


def pixels(message, encoding):
    values = np.frombuffer(message.data, np.uint16 if encoding == "mono16" else np.uint8)
    assert (message.encoding, message.is_bigendian) == (encoding, 0)
    assert message.step == message.width * values.itemsize
    return values.reshape(message.height, message.width)


def by_text(answer):
    return {match.text: instance for instance in answer.instances for match in instance.matches}


def test_header_and_knowledge(answered):
    answer = answered.answer
    assert (answer.header.frame_id, answer.camera, answer.model_id) == ("optical frame", "", "fake")
    assert (answer.height, answer.width) == (48, 64)
    assert 0 < stamp_of(answer.keyframe_stamp) <= stamp_of(answer.header.stamp)
    if not answered.propagate:
        assert answer.keyframe_stamp == answer.header.stamp
    assert answer.vocabulary_epoch == answered.client.told.vocabulary_epoch


def test_results_tell_zero_hits_with_their_presence(answered):
    results = {result.query_id: result for result in answered.answer.results}
    assert {id: result.count for id, result in results.items()} == {"r": 1, "b": 1, "g": 0}
    assert {id: round(result.presence, 3) for id, result in results.items()} == {"r": 0.95, "b": 0.95, "g": 0.1}
    for id, result in results.items():
        assert (result.client, result.class_id) == ("planner", answered.labels[id])
        assert stamp_of(result.keyframe_stamp) <= stamp_of(answered.answer.header.stamp)


@pytest.mark.parametrize(("id", "place"), [("r", RED), ("b", BLUE)])
def test_instances(answered, id, place):
    instance = by_text(answered.answer)[PHRASES[id]]
    (match,) = instance.matches
    assert (match.client, match.query_id, match.class_id) == ("planner", id, answered.labels[id])
    assert match.score == pytest.approx(SCORE)
    assert 0.5 < instance.confidence <= 1.0
    assert instance.propagated == (instance.keyframe_stamp != answered.answer.header.stamp)
    assert (instance.track_id > 0) == answered.propagate
    assert (instance.height, instance.width) == (48, 64)
    expected = np.zeros((48, 64), bool)
    expected[place] = True
    mask = decode_rle(instance.counts, 48, 64)
    assert (mask & expected).sum() / (mask | expected).sum() > (0.75 if answered.propagate else 0.999)
    rows, columns = np.nonzero(mask)
    center, box = instance.box.center, instance.box
    assert (center.position.x, center.position.y) == pytest.approx(
        ((columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2), abs=1.0
    )
    assert (box.size_x, box.size_y) == pytest.approx((np.ptp(columns) + 1, np.ptp(rows) + 1), abs=1.0)
    assert center.theta == 0.0


def test_label_confidence_and_instance_images_agree_with_the_masks(answered):
    label, confidence = pixels(answered["label_image"], "mono8"), pixels(answered["confidence"], "mono8")
    index = pixels(answered["instance_image"], "mono16")
    assert set(np.unique(label)) == {answered.labels["r"], answered.labels["b"], NOTHING}
    for number, instance in enumerate(answered.answer.instances, 1):
        mask = decode_rle(instance.counts, 48, 64)
        np.testing.assert_array_equal(index == number, mask)
        np.testing.assert_array_equal(label == instance.matches[0].class_id, mask)
        assert confidence[mask].max() <= math.ceil(255 * instance.confidence)
        assert confidence[mask].min() > 0
    np.testing.assert_array_equal(label == NOTHING, index == 0)
    assert confidence[index == 0].max() == 0


def test_label_info_names_the_phrases_and_came_before_the_pixels(answered):
    info = answered.label_info
    assert {c.class_id: c.class_name for c in info.class_map} == {
        answered.labels["r"]: "red thing",
        answered.labels["b"]: "blue thing",
        answered.labels["g"]: "green thing",
    }
    assert stamp_of(info.header.stamp) <= stamp_of(answered.answer.header.stamp)
    assert info.header.frame_id == "optical frame"


def test_detections(answered):
    message = answered["detections"]
    assert len(message.detections) == 2
    for detection, instance in zip(message.detections, answered.answer.instances, strict=True):
        assert detection.header == message.header
        (hypothesis,) = detection.results
        assert hypothesis.hypothesis.class_id == " ".join(instance.matches[0].text.lower().split())
        assert hypothesis.hypothesis.score == pytest.approx(SCORE)
        assert hypothesis.pose.pose.orientation.w == 1.0
        assert detection.bbox == instance.box
        assert detection.id == (str(instance.track_id) if answered.propagate else "")


def test_overlays(answered):
    message, compressed = answered["overlay"], answered["overlay/compressed"]
    assert (message.encoding, message.height, message.width, message.step) == ("rgb8", 48, 64, 192)
    raw = decode_image(message.data, "rgb8", 48, 64, message.step)
    assert (raw != scene("red", "blue")).any()
    assert compressed.format == "jpeg"
    difference = np.abs(decode_compressed_image(compressed.data, compressed.format).astype(int) - raw)
    assert difference.mean() < 20


def test_status_follows(answered):
    client, picture = answered.client, scene("red", "blue")
    for id, outcome in (("r", QueryStatus.FOUND), ("g", QueryStatus.NOT_FOUND)):
        client.stream_until(
            picture, lambda id=id, o=outcome: client.statuses["planner", id].outcome == o, f"outcome of {id}"
        )
    found, absent = client.statuses["planner", "r"], client.statuses["planner", "g"]
    assert (found.text, found.state, found.reason, found.message) == ("Red  Thing", QueryStatus.ACTIVE, 0, "")
    assert stamp_of(found.last_seen) > 0 and stamp_of(found.last_searched) > 0
    assert (stamp_of(absent.last_seen), absent.last_seen_camera, stamp_of(absent.expires)) == (0, "", 0)
    assert (found.presence, absent.presence) == pytest.approx((0.95, 0.1))


def test_nothing_is_drawn_or_searched_without_subscribers():
    with graph(parameters={"propagate": False}) as (client, _):
        client.query("r", "red thing")
        client.wait_until_active("r")
        client.stop_listening("/samlite/query_status")
        unwanted = client.diagnostic("camera", lambda status, values: int(values["images not wanted"]) > 3)
        status = client.stream_until(scene("red"), unwanted, "unwanted images")
        assert "nobody subscribes" in status.message
        embedded = {v.key: v.value for v in client.wait_for_diagnostic("network", lambda *_: True).values}[
            "images embedded"
        ]
        assert client.set_parameter("search_always", True) == ""
        more = client.diagnostic("network", lambda _, values: int(values["images embedded"]) > int(embedded))
        client.stream_until(scene("red"), more, "search without listeners")


@pytest.mark.parametrize("cameras", [[], ["front", "rear"]], ids=["one camera", "two"])
def test_a_listener_of_the_statuses_hears_what_became_of_a_query_on_every_camera(cameras):
    """As README's two lines do: ask by text, echo the statuses, and nobody takes the masks."""
    with graph(parameters={"propagate": False, "cameras": cameras}) as (client, _):
        client.query_text("red thing, blue thing")
        topics = [f"/{camera}/image" for camera in cameras] or ["/image"]

        def became(phrase, outcome):
            for topic in topics[1:]:
                client.send_image(scene("red"), topic=topic)
            return client.statuses["text", phrase].outcome == outcome

        for phrase, outcome in (("red thing", QueryStatus.FOUND), ("blue thing", QueryStatus.NOT_FOUND)):
            client.wait_until_active(phrase, "text")
            client.stream_until(
                scene("red"), lambda p=phrase, o=outcome: became(p, o), f"outcome of {phrase}", topic=topics[0]
            )


def test_one_listener_suffices():
    with graph(parameters={"propagate": False}) as (client, _):
        labels = client.listen_to_outputs("label_image")["label_image"]
        client.query_text("red thing")
        class_id = client.wait_until_active("red thing", "text").class_id

        def labelled():  # the first images may be answers from before the phrase was searched
            return next((image for image in labels if (pixels(image, "mono8") != NOTHING).any()), None)

        image = client.stream_until(scene("red"), labelled, "label image that shows something")
        assert set(np.unique(pixels(image, "mono8")[RED])) == {class_id}
