"""The node with the demo network, by every backend that can run here: it finds, and says what computes."""

import numpy as np
import pytest
from graph import graph
from node_process import REAL_NODE

from samlite_ros.scenes import render_scene
from samlite_ros.scenes.vocabulary import Meaning


@pytest.mark.parametrize(("backend", "computes"), [("torch", "cpu, float32"), ("onnx", "cpu, fp32, ONNX Runtime")])
def test_it_finds_what_is_asked_before_and_while_it_runs(demo_export, backend, computes):
    scene = render_scene(1, (120, 160))  # small: large images are lost on the way
    first, later = (Meaning(thing.colour, thing.shape).plain_phrase for thing in scene.objects[:2])
    model = str(demo_export) if backend == "onnx" else "demo"
    parameters = {"model": model, "backend": backend, "device": "cpu", "propagate": False, "queries": ["object", first]}
    with graph(REAL_NODE, parameters=parameters) as (client, node):
        answers = client.listen_to_outputs("segmentation")["segmentation"]
        client.wait_until_active("object", "parameters")
        client.wait_for_diagnostic("network", lambda _, values: values["computes"].startswith(computes))
        assert client.answer_to(scene.image, answers).instances
        client.query("later", later)
        client.wait_until_active("later")
        answer = client.answer_to(np.ascontiguousarray(scene.image[:, ::-1]), answers)
        assert "later" in {result.query_id for result in answer.results} and answer.model_id == model
        assert "Traceback" not in node.log()
