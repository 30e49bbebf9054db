"""Positions against truth, from a bag with depth through a replay to the report."""

import filecmp
import json

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags are read with it")

from fake_segmenter import FakeSegmenter, found

from samlite_ros.bags.message_types import DETECTIONS_3D, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.demo.make_bag import TRUTH_NAME, MadeBag, make_bag
from samlite_ros.errors import BagError
from samlite_ros.evaluation.evaluate import EvaluateOptions, evaluate_bag
from samlite_ros.evaluation.evaluation import EvaluationOptions
from samlite_ros.evaluation.places import box_iou, places_line
from samlite_ros.evaluation.report import check_below, parse_gate
from samlite_ros.parameters.table import Parameters
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.scenes import Sequence, SequenceOptions, matches
from samlite_ros.virtual.latency import LatencyProfile

SCENES = SequenceOptions(frames=16, rate_hz=15.0)
MADE = MadeBag(kind="fly", seed=4, scenes=SCENES, depth=True)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places") / "bag"
    make_bag(folder, MADE)
    return folder


@pytest.fixture(scope="module")
def phrases(bag):
    truth = json.loads((bag / TRUTH_NAME).read_text())
    return tuple(category["name"] for category in truth["categories"])


def oracle() -> FakeSegmenter:
    """Finds what is there, pixel by pixel."""
    scenes = {scene.stamp_ns: scene for scene in Sequence(MADE.kind, MADE.seed, SCENES)}

    def find(frame, prompt, options):
        scene = scenes[frame.stamp_ns]
        masks = [scene.mask(o.track_id) for o in scene.objects if matches(prompt.text, o)]
        return found(prompt, [mask_from_array(mask) for mask in masks])

    return FakeSegmenter(find, records=False)


def replayed(bag, phrases, folder, *, carried: bool = False):
    options = ReplayOptions(
        phrases=phrases,
        parameters=Parameters(propagate=carried),
        profile=LatencyProfile.of_total_ms(250 if carried else 0),
        result=ResultOptions(timeline=False),
    )
    return replay(bag, folder, options, oracle())


def report(result, bag):
    options = EvaluateOptions(evaluation=EvaluationOptions(contours=False))
    return evaluate_bag(result, bag / TRUTH_NAME, options).content["places"]["overall"]


def test_truth_and_depth_of_the_bag_agree_by_plain_numpy(bag) -> None:
    """Written by another hand than `space`: masks of the truth, depth of the bag, the pinhole formula."""
    sequence = Sequence(MADE.kind, MADE.seed, SCENES)
    truth = json.loads((bag / TRUTH_NAME).read_text())
    with BagReader(bag) as reader:
        depths = [deserialize(m.data, m.type_name) for m in reader.messages(["/camera/depth"])]
        infos = [deserialize(m.data, m.type_name) for m in reader.messages(["/camera/camera_info"])]
    assert len(depths) == len(infos) == SCENES.frames
    scene, k = sequence[0], infos[0].k.reshape(3, 3)
    metres = np.frombuffer(depths[0].data, np.uint16).reshape(480, 640) / 1000
    for annotation in (a for a in truth["annotations"] if a["image_id"] == 1):
        rows, columns = np.nonzero(scene.mask(annotation["track_id"]) & (metres > 0))
        z = metres[rows, columns]
        points = np.array([(columns - k[0, 2]) / k[0, 0] * z, (rows - k[1, 2]) / k[1, 1] * z, z])
        assert np.median(points, axis=1) == pytest.approx(annotation["position_m"], abs=0.01)
        low, high = np.percentile(points[:2], [2, 98], axis=1)
        assert (high - low <= np.array(annotation["box_size_m"][:2]) * 1.05).all()


def test_exact_masks_give_exact_places(bag, phrases, tmp_path) -> None:
    outcome = replayed(bag, phrases, tmp_path / "out")
    assert not outcome.faults
    assert outcome.summary["companions"][""]["depth"]["matched"] == SCENES.frames
    assert outcome.summary["places"][""]["refused"] == 0
    figures = report(tmp_path / "out", bag)
    assert figures["found"] > 0.9
    assert figures["error_p50_percent"] < 1 and figures["error_p95_percent"] < 4
    assert figures["iou"] > 0.6
    assert f"of {figures['things']} things found" in places_line(figures)


def test_carried_masks_give_places_at_every_frame_and_the_same_bytes_twice(bag, phrases, tmp_path) -> None:
    for name in ("one", "two"):
        replayed(bag, phrases[:2], tmp_path / name, carried=True)
    names = ["messages.mcap", "metadata.yaml", "summary.json"]
    same, differ, odd = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", names, shallow=False)
    assert (len(same), differ, odd) == (3, [], [])
    with BagReader(tmp_path / "one") as reader:
        (topic,) = (t for t in reader.topics.values() if t.type_name == DETECTIONS_3D)
    assert topic.message_count == SCENES.frames
    figures = report(tmp_path / "one", bag)
    assert figures["error_p95_percent"] < 4 and figures["found"] >= 0.5  # before the first pass nothing is known


def test_a_replay_remembers_where_things_were(bag, phrases, tmp_path) -> None:
    outcome = replayed(bag, phrases, tmp_path / "out")
    there = {q["text"]: q["last_place"] for q in outcome.summary["queries"]}
    assert there[phrases[-1]] is None  # which is in no image
    place = there[phrases[0]]
    assert place["frame_id"] == "camera_optical_frame" and 0.3 < place["position_m"][2] < 6


def test_without_depth_there_is_nothing_to_say(bag, phrases, tmp_path) -> None:
    options = ReplayOptions(
        phrases=phrases, parameters=Parameters(propagate=False, positions=False), result=ResultOptions(timeline=False)
    )
    replay(bag, tmp_path / "out", options, oracle())
    content = evaluate_bag(tmp_path / "out", bag / TRUTH_NAME, EvaluateOptions()).content
    assert "places" not in content
    with pytest.raises(BagError, match="truth or result of the evaluation tells no places"):
        check_below(content, [parse_gate("places.found=0.5")])


@pytest.mark.parametrize("wrong", [[1.0, 2.0], [1.0, 2.0, "x"], [1.0, 2.0, float("inf")], 3])
def test_a_place_that_is_none_is_refused(bag, tmp_path, wrong) -> None:
    truth = json.loads((bag / TRUTH_NAME).read_text())
    truth["annotations"][0]["position_m"] = wrong
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(BagError, match="truth"):
        evaluate_bag(bag, tmp_path / "truth.json", EvaluateOptions())


@pytest.mark.parametrize("size", [[-1.0, -1.0, -1.0], [1e308, 1e308, 1e308], [1.0, 1.0, 1e7]])
def test_a_box_that_is_none_is_refused_in_words(bag, tmp_path, size) -> None:
    truth = json.loads((bag / TRUTH_NAME).read_text())
    truth["annotations"][0]["box_size_m"] = size
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(BagError, match="sizes are 0 or more"):
        evaluate_bag(bag, tmp_path / "truth.json", EvaluateOptions())


def test_overlap_of_boxes_by_counting_cells() -> None:
    one = (np.array([0.5, 0.5, 0.5]), np.array([0.6, 0.4, 1.0]))
    other = (np.array([0.6, 0.4, 0.7]), np.array([0.4, 0.6, 0.4]))
    cells = (np.stack(np.meshgrid(*[np.arange(100)] * 3, indexing="ij"), -1) + 0.5) / 50 - 0.5
    inside = [(np.abs(cells - center) < size / 2).all(-1) for center, size in (one, other)]
    assert box_iou(one, other) == pytest.approx((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum(), abs=0.02)
    assert box_iou(one, (one[0] + 5, one[1])) == 0
