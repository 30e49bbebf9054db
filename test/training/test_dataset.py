"""What the demo network is trained on."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from samlite_ros.scenes.render import TRAINING_STREAM, render_scene
from samlite_ros.scenes.vocabulary import COLOURS, HELD_OUT_PAIRS, SHAPES, Meaning, meaning_of, words
from samlite_ros.scenes.world import WorldOptions
from samlite_ros.training.batches import UNNAMED, Batches, Label, turn_hues
from samlite_ros.training.dataset import SceneSet, build_scene_set, pack_scene
from samlite_ros.training.network import build_tokenizer
from samlite_ros.training.phrases import draw_absent, draw_phrase, spell
from samlite_ros.training.recipe import Recipe, Size

SIZE = Size(image_px=96, window=6)
THINGS = [Label("red", "ball"), Label("green", "cone"), Label("yellow", "ball")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def scenes(folder: Path) -> SceneSet:
    return build_scene_set(folder, 20, 96, workers=1, chunk=10)


def test_scene_set_holds_the_training_stream(scenes: SceneSet) -> None:
    scene = render_scene(13, options=WorldOptions(excluded_pairs=HELD_OUT_PAIRS), stream=TRAINING_STREAM)
    image, ids, boxes, labels = pack_scene(scene, 96)
    assert (scenes.images[13] == image).all()
    assert (scenes.ids[13] == ids).all()
    assert (scenes.boxes[13] == boxes).all()
    assert [(COLOURS[c], SHAPES[s]) for c, s in labels if c >= 0] == [(o.colour, o.shape) for o in scene.objects]


def test_interrupted_rendering_is_finished(scenes: SceneSet, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for name, value in (("done", np.array([True, False])), ("labels", np.zeros((20, 8, 2), np.int8))):
        np.save(tmp_path / f"{name}.npy", value)
    again = build_scene_set(tmp_path, 20, 96, workers=1, chunk=10)
    assert (again.labels[:10] == 0).all()  # kept as they were
    assert (again.labels[10:] == scenes.labels[10:]).all()


def test_odd_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 10, got 15"):
        build_scene_set(tmp_path, 15, 96, workers=1, chunk=10)


def test_step_gives_the_same_batch_wherever_it_is_made(scenes: SceneSet) -> None:
    recipe = Recipe(size=SIZE, images=4, prompts=6)
    first, again = (Batches(scenes, build_tokenizer(), recipe)[7] for _ in range(2))
    other = Batches(scenes, build_tokenizer(), recipe)[8]
    for name in ("pixels", "token_ids", "token_mask", "wanted", "boxes", "masks", "labels"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.pixels, other.pixels)


def test_targets_follow_flips(scenes: SceneSet) -> None:
    """Every mask lies in its box, in flipped and unflipped steps."""
    batches = Batches(scenes, build_tokenizer(), Recipe(size=SIZE, images=4, prompts=4))
    checked = 0
    for step in range(8):
        batch = batches[step]
        side = batch.masks.shape[-1]
        for image, thing in torch.nonzero(batch.labels[..., 0] >= 0).tolist():
            rows, columns = torch.nonzero(batch.masks[image, thing] > 0.5, as_tuple=True)
            if not len(rows):
                continue
            box = batch.boxes[image, thing] * side
            assert box[0] - 1 <= columns.min()
            assert columns.max() <= box[2]
            assert box[1] - 1 <= rows.min()
            assert rows.max() <= box[3]
            checked += 1
    assert checked > 40


def test_wanted_objects_are_the_named_ones(scenes: SceneSet) -> None:
    tokenizer = build_tokenizer()
    batch = Batches(scenes, tokenizer, Recipe(size=SIZE, images=4, prompts=6))[0]
    for k in range(6):
        meaning = meaning_of(tokenizer.decode(batch.token_ids[k], skip_special_tokens=True))
        for index, (colour, shape) in enumerate(batch.labels[k % 4].tolist()):
            fits = colour >= 0 and meaning is not None and meaning.fits(Label(COLOURS[colour], SHAPES[shape]))
            assert bool(batch.wanted[k, index]) == fits


def test_held_out_pairs_are_never_asked() -> None:
    rng = np.random.default_rng(0)
    asked = Counter(meaning_of(draw_phrase(rng, THINGS, 0.5)) for _ in range(4000))
    pairs = {(m.colour, m.shape) for m in asked if m and m.colour and m.shape}
    assert not pairs & HELD_OUT_PAIRS
    assert pairs == {(c, s) for c in COLOURS for s in SHAPES} - HELD_OUT_PAIRS


def test_absent_phrases_name_nothing() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_absent(rng, THINGS) for _ in range(500)]
    assert not any(meaning.fits(thing) for meaning in drawn if meaning for thing in THINGS)
    near = sum(any(m.colour == t.colour or m.shape == t.shape for t in THINGS) for m in drawn if m and m.colour)
    assert near > 250  # most are much like something that is there


def test_share_of_positive_phrases() -> None:
    rng = np.random.default_rng(2)
    meanings = [meaning_of(draw_phrase(rng, THINGS, 0.7)) for _ in range(2000)]
    named = sum(any(m.fits(t) for t in THINGS) for m in meanings if m)
    assert named / 2000 == pytest.approx(0.7 * 0.98, abs=0.04)


def test_turned_scenes_are_asked_without_colours(scenes: SceneSet) -> None:
    tokenizer = build_tokenizer()
    recipe = Recipe(size=SIZE, images=16, prompts=16, steps=6, turned_from=0.5, turned=1.0)
    before, after = (Batches(scenes, tokenizer, recipe)[step] for step in (2, 3))
    assert (before.labels[..., 0] != UNNAMED).all()
    assert set(after.labels[..., 0].unique().tolist()) == {UNNAMED, -1}
    meanings = [meaning_of(tokenizer.decode(ids, skip_special_tokens=True)) for ids in after.token_ids]
    assert all(meaning is not None and meaning.colour is None for meaning in meanings)
    shapes = [[SHAPES[s] for s in row if s >= 0] for row in after.labels[..., 1].tolist()]
    for k, meaning in enumerate(meanings):
        fitting = [meaning.shape in (None, shape) for shape in shapes[k]]
        assert after.wanted[k, : len(fitting)].tolist() == fitting


def test_turned_hues() -> None:
    image = np.array([[[200, 20, 20], [90, 90, 90], [20, 200, 20]]], np.uint8)
    assert (turn_hues(image, 0) == image).all()
    turned = turn_hues(image, 120).astype(int)
    assert np.abs(turned - [[[20, 200, 20], [90, 90, 90], [20, 20, 200]]]).max() <= 2


@pytest.mark.parametrize(
    "meaning", [Meaning("red", "ball"), Meaning("purple", "box"), Meaning(None, "cylinder"), Meaning()]
)
def test_spelled_phrases_mean_what_they_should(meaning: Meaning) -> None:
    rng = np.random.default_rng(3)
    spelled = {spell(rng, meaning) for _ in range(100)}
    assert len(spelled) > 10
    assert {meaning_of(phrase) for phrase in spelled} == {meaning}


def test_tokenizer_knows_every_word_in_any_case() -> None:
    tokenizer = build_tokenizer()
    assert tokenizer.unk_token_id not in tokenizer(" ".join(words())).input_ids
    assert tokenizer("The RED Ball").input_ids == tokenizer("the red ball").input_ids
    assert tokenizer("zebra").input_ids == [tokenizer.bos_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id]
    assert tokenizer.eos_token_id == len(tokenizer) - 1  # the text encoder reads the sentence at the largest id
