"""The training itself, on a network small enough for a test."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, Sam3LiteTextModel

from samlite_ros.errors import TrainingError
from samlite_ros.scenes.render import TRAINING_STREAM, render_scene
from samlite_ros.training.assignment import generalised_iou, match, to_cxcywh, to_xyxy
from samlite_ros.training.batches import Batch, Batches
from samlite_ros.training.dataset import SceneSet, pack_scene
from samlite_ros.training.export import export
from samlite_ros.training.forward import Outputs, TokenHeads, forward
from samlite_ros.training.losses import losses
from samlite_ros.training.network import build_network, build_tokenizer
from samlite_ros.training.optimizer import Optimizer
from samlite_ros.training.recipe import LossWeights, Recipe, Size
from samlite_ros.training.trainer import Trainer

needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="training needs torch 2.9")
TINY = Size(
    image_px=96,
    window=6,
    vision_hidden=32,
    vision_mlp=32,
    vision_layers=2,
    hidden=32,
    mlp=32,
    text_hidden=32,
    queries=4,
)
RECIPE = Recipe(
    size=TINY,
    steps=40,
    turned_from=0.1,
    turned=0.5,
    images=4,
    prompts=6,
    warmup=5,
    learning_rate=2e-3,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scenes() -> SceneSet:
    rows = [pack_scene(render_scene(seed, (240, 320), stream=TRAINING_STREAM), 96) for seed in range(16)]
    images, ids, boxes, labels = (np.stack(column) for column in zip(*rows, strict=True))
    return SceneSet(images, ids, boxes, labels)


@pytest.fixture(scope="module")
def batch(scenes: SceneSet) -> Batch:
    return Batches(scenes, build_tokenizer(), RECIPE)[0]


def trainer(folder: Path, scenes: SceneSet, recipe: Recipe = RECIPE) -> Trainer:
    return Trainer(recipe, folder, scenes, scenes, monitor_batches=1)


@needs_muon
def test_loss_falls_and_is_logged(tmp_path: Path, scenes: SceneSet) -> None:
    training = trainer(tmp_path, scenes, replace(RECIPE, steps=100))
    training.run(loader_workers=0)
    entries = [json.loads(line) for line in training.log_path.read_text().splitlines()]
    first, second = (entry["losses"]["total"] for entry in entries if "losses" in entry)
    assert second < 0.85 * first
    assert set(entries[-1]["measures"]) == {"recall", "precision", "mean_iou", "absent_false_positives", "presence"}


@needs_muon
def test_resumed_training_is_the_same_training(tmp_path: Path, scenes: SceneSet) -> None:
    whole = trainer(tmp_path / "whole", scenes)
    whole.run(until=6, loader_workers=0)
    trainer(tmp_path / "parts", scenes).run(until=3, loader_workers=0)
    resumed = trainer(tmp_path / "parts", scenes)
    assert resumed.step == 3
    resumed.run(until=6, loader_workers=0)
    for part in ("model", "average"):
        expected, state = getattr(whole, part).state_dict(), getattr(resumed, part).state_dict()
        assert all(torch.equal(expected[name], state[name]) for name in expected)


@needs_muon
def test_other_recipe_is_refused(tmp_path: Path, scenes: SceneSet) -> None:
    trainer(tmp_path, scenes).save()
    with pytest.raises(ValueError, match="belongs to another recipe"):
        trainer(tmp_path, scenes, replace(RECIPE, seed=1))


def test_forward_is_the_model_s_own(batch: Batch) -> None:
    model = build_network(TINY, seed=0).eval()
    with torch.no_grad():
        outputs = forward(model, batch)
        reference = model(
            pixel_values=batch.pixels[batch.image_of],
            input_ids=batch.token_ids,
            attention_mask=batch.token_mask,
        )
    torch.testing.assert_close(to_xyxy(outputs.boxes[-1]), reference.pred_boxes, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs.scores[-1], reference.pred_logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs.presence[-1], reference.presence_logits[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs.semantic, reference.semantic_seg[:, 0], atol=1e-5, rtol=1e-4)


def test_every_trained_weight_has_a_gradient(batch: Batch) -> None:
    model, heads = build_network(TINY, seed=0), TokenHeads(TINY.hidden)
    parts = losses(model, heads, forward(model, batch), batch, LossWeights(), 1.0, copies=2)
    torch.stack(list(parts.values())).sum().backward()
    missing = {
        name for name, p in [*model.named_parameters(), *heads.named_parameters()] if p.requires_grad and p.grad is None
    }
    unused = {name for name in missing if not name.startswith(("text_encoder", "vision_encoder.neck.fpn_layers.3"))}
    assert not unused
    assert all(torch.isfinite(part) for part in parts.values())


def test_exported_folder_loads_without_this_package(tmp_path: Path, batch: Batch) -> None:
    model, tokenizer = build_network(TINY, seed=0).eval(), build_tokenizer()
    export(model, tokenizer, tmp_path)
    loaded = Sam3LiteTextModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(tmp_path)("the red ball", padding="max_length", return_tensors="pt")
    assert ids.input_ids.shape == (1, 32)
    with torch.no_grad():
        expected, given = (m(pixel_values=batch.pixels[:1], **ids) for m in (model, loaded))
    torch.testing.assert_close(given.pred_logits, expected.pred_logits, atol=0.02, rtol=0.02)
    assert {p.name for p in tmp_path.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}


def outputs_with_boxes(boxes: list[list[float]]) -> Outputs:
    """Outputs of one layer and one prompt with these boxes (centre, size) and equal scores."""
    given = torch.tensor(boxes)[None, None]
    none = torch.zeros(0)
    return Outputs(given, torch.zeros(1, 1, len(boxes)), none, none, none, none, none, none)


def test_nearest_queries_answer() -> None:
    outputs = outputs_with_boxes(
        [[0.8, 0.8, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2], [0.25, 0.2, 0.2, 0.2], [0.75, 0.8, 0.2, 0.2]]
    )
    objects = torch.tensor([[[0.1, 0.1, 0.3, 0.3], [0.0, 0.0, 1.0, 1.0], [0.7, 0.7, 0.9, 0.9]]])
    single, several = match(outputs, objects, torch.tensor([[True, False, True]]), copies=2)
    assert dict(zip(single.query.tolist(), single.target.tolist(), strict=True)) == {1: 0, 0: 2}
    assert dict(zip(several.query.tolist(), several.target.tolist(), strict=True)) == {1: 0, 2: 0, 0: 2, 3: 2}


def test_generalised_iou() -> None:
    box = torch.tensor([0.0, 0.0, 1.0, 1.0])
    others = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.5, 1.0], [2.0, 0.0, 3.0, 1.0]])
    torch.testing.assert_close(generalised_iou(box, others), torch.tensor([1.0, 1 / 3, -1 / 3]))
    torch.testing.assert_close(to_xyxy(to_cxcywh(others)), others)


SCHEDULE = Recipe(steps=12_000, turned_from=0.25, turned=0.4, warmup=300)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 1 / 300), (149, 0.5), (299, 1.0), (6000, 0.51), (9000, 0.1635), (11_999, 0.02)]
)
def test_learning_rate(step: int, rate: float) -> None:
    assert SCHEDULE.rate_at(step) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(
    ("step", "copies", "box_factor", "turned"),
    [(0, 4, 2.0, 0.0), (1440, 2, 1.0, 0.0), (2999, 2, 1.0, 0.0), (3000, 2, 1.0, 0.4), (7200, 1, 1.0, 0.4)],
)
def test_phases(step: int, copies: int, box_factor: float, turned: float) -> None:
    phase = SCHEDULE.copies_at(step), SCHEDULE.box_factor_at(step), SCHEDULE.turned_at(step)
    assert phase == (copies, box_factor, turned)


def trained_by(optimizer: Optimizer, kind: type) -> set[int]:
    """Ids of the weights that the optimizer's part of this kind trains."""
    (part,) = [p for p in optimizer.parts if isinstance(p, kind)]
    return {id(weight) for group in part.param_groups for weight in group["params"]}


@needs_muon
def test_muon_trains_the_matrices_of_the_blocks_and_adamw_the_rest() -> None:
    model, heads = build_network(TINY, seed=0), TokenHeads(TINY.hidden)
    optimizer = Optimizer(model, heads, RECIPE)
    blocks, rest = trained_by(optimizer, torch.optim.Muon), trained_by(optimizer, torch.optim.AdamW)
    named = dict(model.named_parameters())
    assert id(named["vision_encoder.backbone.layers.0.mlp.fc1.weight"]) in blocks
    assert id(named["detr_decoder.layers.2.text_cross_attn.q_proj.weight"]) in blocks
    assert id(named["text_encoder.embeddings.token_embedding.weight"]) in rest
    assert id(named["detr_decoder.presence_head.layer3.weight"]) in rest
    wanted = [p for p in (*model.parameters(), *heads.parameters()) if p.requires_grad]
    assert blocks | rest == {id(p) for p in wanted} and not blocks & rest


@needs_muon
def test_both_learning_rates_follow_the_schedule() -> None:
    optimizer = Optimizer(build_network(TINY, seed=0), TokenHeads(TINY.hidden), RECIPE)
    optimizer.set_rate(0.25)
    rates = {type(p): {group["lr"] for group in p.param_groups} for p in optimizer.parts}
    assert rates == {
        torch.optim.AdamW: {0.25 * RECIPE.learning_rate},
        torch.optim.Muon: {0.25 * RECIPE.matrix_learning_rate},
    }


def test_an_older_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(TrainingError, match=r"torch 2\.9 or newer.*this is torch"):
        Optimizer(build_network(TINY, seed=0), TokenHeads(TINY.hidden), RECIPE)
