from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from samlite_ros.client import QueryOutcome, Verdict
from samlite_ros.demo import run
from samlite_ros.demo.phrases import choose_phrases, visible_phrases
from samlite_ros.demo.scene_camera import DEFAULTS
from samlite_ros.demo.score import score_frame
from samlite_ros.errors import SamliteError
from samlite_ros.evaluation.measures.detection import DetectionCounts, pooled
from samlite_ros.live.network_counters import NetworkCounters
from samlite_ros.node.diagnostics import NetworkReport
from samlite_ros.node.facts import NodeFacts
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes import Sequence, SequenceOptions, matches
from samlite_ros.scenes.vocabulary import meaning_of


@pytest.fixture(scope="module")
def sequence():
    return Sequence("still", 1, SequenceOptions(frames=30))


@pytest.mark.parametrize("kind", ["still", "fly", "cross"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_phrase_names_something_and_the_other_nothing(kind, seed):
    sequence = Sequence(kind, seed, SequenceOptions(frames=40))
    there, absent = choose_phrases(sequence)
    assert any(matches(there, thing) for scene in sequence for thing in scene.objects)
    assert meaning_of(absent) is not None
    assert not any(matches(absent, thing) for i in range(0, 40, 3) for thing in sequence[i].objects)


def test_the_truth_itself_scores_full_marks(sequence):
    scene = sequence[0]
    phrase = choose_phrases(sequence)[0]
    masks = [mask_from_array(scene.mask(t.track_id)) for t in scene.objects if matches(phrase, t)]
    score = score_frame(scene, phrase, masks, [0.9] * len(masks))
    assert score.true == score.found == len(masks) > 0
    assert score.mean_iou == score.recall == score.precision == 1


def test_a_mask_in_the_wrong_place_is_a_miss_and_a_false_find(sequence):
    scene = sequence[0]
    phrase = choose_phrases(sequence)[0]
    elsewhere = mask_from_array(~np.isin(scene.ids, [t.track_id for t in scene.objects]))
    score = score_frame(scene, phrase, [elsewhere], [0.9])
    assert score.ious == () and score.true >= 1 and score.found == 1


def test_frames_are_pooled():
    summary = pooled([DetectionCounts((0.9, 0.7), 1, 0), DetectionCounts((), 0, 1)])
    assert (summary.mean_iou, summary.recall, summary.precision) == pytest.approx((0.8, 2 / 3, 2 / 3))


def test_nothing_to_average_is_not_a_number():
    assert np.isnan(pooled([]).mean_iou)


@pytest.mark.parametrize("rate", [30.0, 29.97, 7.0])
def test_a_frame_is_stamped_when_it_is_due_and_never_in_the_future(rate):
    """Whatever ticks come late, and however often."""
    scene = replace(DEFAULTS, rate=rate, start_ns=10**18)
    late = np.random.default_rng(0).choice([0.0, 0.0, 0.3, 0.9, 2.7], 2000)
    ticks = 10**18 + np.sort(((np.arange(2000) + late) * 1e9 / rate).astype(np.int64)) + 1000
    for now_ns in map(int, ticks):
        due = scene.due_at(now_ns)
        assert 0 <= now_ns - scene.stamp_of(due) <= 1e9 / rate + 1
        assert scene.index_of(scene.stamp_of(due)) == due % scene.frames


def test_the_gallery_names_things_of_the_scene(sequence):
    phrases = visible_phrases(sequence, 4)
    assert len(set(phrases)) == len(phrases) == 4
    assert all(any(matches(phrase, thing) for thing in sequence[0].objects) for phrase in phrases)


def test_while_an_answer_is_waited_for_it_tells_why(monkeypatch, capsys):
    unknown = QueryOutcome(Verdict.UNKNOWN, "the model is being loaded", float("nan"), 0, "", 65535)
    outcomes = iter([unknown, unknown, replace(unknown, verdict=Verdict.FOUND)])
    planner = SimpleNamespace(wait_for_outcome=lambda phrase, timeout_s: next(outcomes))
    assert run._verdict(SimpleNamespace(planner=planner), "red ball", 60.0).verdict is Verdict.FOUND
    assert capsys.readouterr().err.count("waiting for an answer to 'red ball': the model is being loaded") == 2
    outcomes = iter([unknown])
    with pytest.raises(SamliteError, match="in vain"):
        run._verdict(SimpleNamespace(planner=planner), "red ball", run.TOLD_EVERY_S)


def test_a_model_that_cannot_be_loaded_is_not_waited_for():
    facts = NodeFacts("unconfigured", "demo", "", load_failure="model 'demo' has no export")
    reason = NetworkReport().hold_up(NetworkCounters(), facts)
    again = QueryOutcome(Verdict.UNKNOWN, "the network cannot be loaded again: model 'demo' cannot be loaded: why")
    outcomes = iter([again, replace(again, reason=reason)])
    planner = SimpleNamespace(wait_for_outcome=lambda phrase, timeout_s: next(outcomes))
    with pytest.raises(SamliteError, match=r"waited 0 s .* has no export"):
        run._verdict(SimpleNamespace(planner=planner), "red ball", 120.0)
