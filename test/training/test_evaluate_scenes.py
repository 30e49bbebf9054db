"""The evaluation counts right: fakes with known answers."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from fake_segmenter import FakeSegmenter, found

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.scenes.render import Scene, render_scene
from samlite_ros.scenes.vocabulary import Meaning, matches
from samlite_ros.scenes.world import WorldOptions
from samlite_ros.training.evaluate_scenes import ANY_SIZE, Timing, evaluate_scenes, report, scene_seed, score_question
from samlite_ros.training.scene_questions import Question, questions
from samlite_ros.types import DecodeOptions, Frame, Mask, Prompt, PromptResult

SCENES, SEED = 8, 3

Masks = Callable[[Scene, str], list[np.ndarray]]


def segmenter_of(masks: Masks) -> FakeSegmenter:
    """Answers with what a function makes of the truth; it recognises the scene by its image."""
    scenes = [render_scene(scene_seed(SEED, i), options=WorldOptions()) for i in range(SCENES)]
    scenes += [render_scene(scene_seed(SEED, i), options=ANY_SIZE) for i in range(SCENES, SCENES + SCENES // 2)]
    by_image = {scene.image.tobytes(): scene for scene in scenes}

    def find(frame: Frame, prompt: Prompt, options: DecodeOptions) -> PromptResult:
        return to_result(prompt, masks(by_image[frame.image.tobytes()], prompt.text), (0.0, 1.0))

    return FakeSegmenter(find)


def to_result(prompt: Prompt, masks: Sequence[np.ndarray], presence: tuple[float, float] = (0.9, 0.9)) -> PromptResult:
    return found(prompt, [mask_from_array(mask) for mask in masks], (0.9, 0.6), presence)


def truth(scene: Scene, phrase: str) -> list[np.ndarray]:
    return [scene.mask(thing.track_id) for thing in scene.objects if matches(phrase, thing)]


def colour_blind(scene: Scene, phrase: str) -> list[np.ndarray]:
    """Finds the shape in every colour."""
    noun = phrase.rsplit(maxsplit=1)[-1]
    return truth(scene, noun)


def test_the_truth_is_perfect() -> None:
    result = evaluate_scenes(segmenter_of(truth), SCENES, SEED)
    assert (result["recall"], result["precision"], result["mean_iou"], result["presence_accuracy"]) == (1, 1, 1, 1)
    assert result["absent_false_positive_rate"] == result["hard_absent_false_positive_rate"] == 0
    assert result["image_ms"] >= 0
    assert all(row["recall"] == 1 for row in result["by_size_px"])


def test_silence_finds_nothing_and_is_right_about_the_absent() -> None:
    result = evaluate_scenes(segmenter_of(lambda scene, phrase: []), SCENES, SEED)
    assert result["recall"] == 0
    assert result["precision"] is None
    assert result["absent_false_positive_rate"] == 0
    assert 0.2 < result["presence_accuracy"] < 0.8


def test_colour_blindness_shows_as_false_positives() -> None:
    result = evaluate_scenes(segmenter_of(colour_blind), SCENES, SEED)
    assert result["recall"] == 1
    assert result["precision"] < 0.9
    assert result["hard_absent_false_positive_rate"] > 0.2
    assert result["by_kind"]["shape"]["precision"] == 1


def disc(x: int, y: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[0:480, 0:640]
    return np.hypot(columns - x, rows - y) < radius


@pytest.fixture(scope="module")
def scene() -> Scene:
    """The first scene with an object above and one below 48 x 48 px."""
    candidates = (render_scene(seed) for seed in range(200))
    return next(s for s in candidates if {o.area_px < 48 * 48 for o in s.objects} == {True, False})


def ask(scene: Scene, masks: Sequence[np.ndarray], targets: str = "object") -> tuple[int, int, int, bool | None]:
    named = tuple(thing for thing in scene.objects if targets and matches(targets, thing))
    question = Question("any words", Meaning(), "object", named)
    given = score_question(scene, question, to_result(Prompt("any words"), masks))
    return given.counts.true_positives, given.counts.false_negatives, given.counts.false_positives, given.presence_right


def test_one_object_is_found_once(scene: Scene) -> None:
    large = [scene.mask(o.track_id) for o in scene.objects if o.area_px >= 48 * 48]
    assert ask(scene, [large[0], large[0]])[:3] == (1, len(large) - 1, 1)


def test_small_objects_count_neither_way(scene: Scene) -> None:
    small = [scene.mask(o.track_id) for o in scene.objects if o.area_px < 48 * 48]
    large = [o for o in scene.objects if o.area_px >= 48 * 48]
    assert ask(scene, small)[:3] == (0, len(large), 0)


def test_detection_of_nothing_is_wrong_only_if_large(scene: Scene) -> None:
    blank = scene.ids == 0
    large = disc(320, 240, 200) & blank
    small = disc(*[int(v) for v in np.argwhere(blank)[0][::-1]], 10) & blank
    assert ask(scene, [large, small], targets="")[:3] == (0, 0, 1)


def test_presence_of_small_objects_alone_is_not_judged(scene: Scene) -> None:
    small = next(o for o in scene.objects if o.area_px < 48 * 48)
    question = Question("x", Meaning(), "colour and shape", (small,))
    assert score_question(scene, question, to_result(Prompt("x"), [])).presence_right is None


def test_any_detection_of_an_absent_phrase_is_a_false_positive(scene: Scene) -> None:
    question = Question("x", Meaning(), "absent", ())
    tiny: Mask = mask_from_array(disc(5, 5, 3))
    result = PromptResult(Prompt("x"), 0.9, np.array([0.6], np.float32), np.zeros((1, 4), np.float32), (tiny,))
    measures = report([score_question(scene, question, result)], [], Timing())
    assert measures["absent_false_positive_rate"] == 1
    assert measures["presence_accuracy"] == 0


@pytest.mark.parametrize("index", range(6))
def test_questions_say_what_they_name(index: int) -> None:
    scene = render_scene(scene_seed(SEED, index))
    for question in questions(scene, index):
        assert question.targets == tuple(thing for thing in scene.objects if matches(question.phrase, thing))
        assert bool(question.targets) == ("absent" not in question.kind)
        if question.kind == "hard absent":
            assert any(question.meaning.colour == o.colour or question.meaning.shape == o.shape for o in scene.objects)
    asked = [question.phrase for question in questions(scene, index)]
    assert asked == [question.phrase for question in questions(scene, index)]


def test_seeds_of_two_evaluations_do_not_meet() -> None:
    assert scene_seed(1, 0) > scene_seed(0, 999_999)
