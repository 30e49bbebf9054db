"""The node with the demo network, by every backend that can run here: it finds, and says what computes."""

import os
from pathlib import Path

import numpy as np
import pytest
from graph import graph
from node_process import REAL_NODE

from samlite_ros.scenes import render_scene
from samlite_ros.scenes.vocabulary import Meaning

WITHOUT_TORCH = "import sys\nsys.modules.update(dict.fromkeys(('torch', 'transformers', 'onnx')))\n"


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """The environment of processes that cannot import torch."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TORCH)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))}


@pytest.mark.parametrize(
    ("backend", "computes"),
    [("torch", "cpu, float32"), ("onnx", "cpu, fp32, ONNX Runtime"), ("auto", "cpu, fp32, ONNX Runtime")],
)
def test_it_finds_what_is_asked_before_and_while_it_runs(demo_export, without_torch, backend, computes):
    scene = render_scene(1, (120, 160))  # small: large images are lost on the way
    first, later = (Meaning(thing.colour, thing.shape).plain_phrase for thing in scene.objects[:2])
    model = "demo" if backend == "torch" else str(demo_export)
    environment = without_torch if backend == "auto" else None
    parameters = {"model": model, "backend": backend, "device": "cpu", "propagate": False, "queries": ["object", first]}
    with graph(REAL_NODE, parameters=parameters, environment=environment) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("object", "parameters")
        client.wait_for_diagnostic("network", lambda _, values: values["computes"].startswith(computes))
        assert client.answer_to(scene.image, answers).instances
        client.query("later", later)
        client.wait_until_active("later")
        answer = client.answer_to(np.ascontiguousarray(scene.image[:, ::-1]), answers)
        assert "later" in {result.query_id for result in answer.results} and answer.model_id == model
        assert "Traceback" not in node.log()


def test_of_a_camera_that_stands_tokens_are_kept_and_some_are_computed():
    first, second = (render_scene(seed, (120, 160)).image for seed in (1, 2))
    first[:30, :40] = second[:30, :40]
    parameters = {"model": "demo", "backend": "torch", "device": "cpu", "propagate": False, "reuse_tokens": True}
    with graph(REAL_NODE, parameters={**parameters, "queries": ["object"]}) as (client, _):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("object", "parameters")
        images = [render_scene(1, (120, 160)).image, first]

        def some_only():
            for image in images:
                client.answer_to(image, answers)
            status = client.diagnostic("network", lambda *_: True)()
            values = {v.key: float(v.value) for v in status.values if "tokens" in v.key} if status else {}
            return values.get("tokens kept [MB]", 0) > 0.5 and values["tokens computed [%]"] < 90

        client.wait_for(some_only, "passes of some tokens")
