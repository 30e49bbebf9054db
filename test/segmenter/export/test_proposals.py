"""The graph of proposals is made of few products, whose rows are of any number of phrases."""

from collections import Counter

import onnx
import torch
from small_networks import Shape, make_checkpoint

from samlite_ros.segmenter.export.parts import all_parts
from samlite_ros.segmenter.export.precision import prepare
from samlite_ros.segmenter.export.write import write_graph


def test_no_product_with_weights_is_split_from_its_bias_and_no_shape_is_asked_for(tmp_path):
    model = make_checkpoint(Shape()).model
    prepare(model, torch.float32)
    parts = {part.name: part for part in all_parts(model, 64, torch.float32)}
    write_graph(parts["proposals"], tmp_path)
    graph = onnx.load(tmp_path / "proposals.onnx").graph
    weights = {tensor.name for tensor in graph.initializer}
    found = Counter(node.op_type for node in graph.node)
    assert found["Shape"] == found["Expand"] == 0
    split = [n.name for n in graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    assert all("/scoring/mlp/" in name for name in split)  # of few rows, the phrases' tokens
    layers = {"encoder": 1, "decoder": 2}
    assert found["Softmax"] == layers["encoder"] + 3 * layers["decoder"] - 1  # the first self-attention is a constant
