"""What TensorRT cannot run is refused when it is exported, not on the robot."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from samlite_ros.errors import ExportError
from samlite_ros.segmenter.export.operators import check_operators


def graph(*nodes, constants=()):
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "y")]
    made = helper.make_graph(list(nodes), "g", values[:1], values[1:], list(constants))
    return helper.make_model(made)


def test_operators_are_counted():
    relu = helper.make_node("Relu", ["x"], ["z"])
    assert check_operators(graph(relu, helper.make_node("Relu", ["z"], ["y"])), "g") == {"Relu": 2}


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (helper.make_node("MatMulInteger", ["x", "x"], ["y"]), "graph g needs what TensorRT lacks .*MatMulInteger"),
        (helper.make_node("FusedMatMul", ["x", "x"], ["y"], domain="com.microsoft"), r"com\.microsoft\.FusedMatMul"),
        (helper.make_node("ConvTranspose", ["x", "x"], ["y"]), "ConvTranspose whose input 1 is computed"),
    ],
)
def test_what_is_lacking_is_named(node, words):
    with pytest.raises(ExportError, match=words):
        check_operators(graph(node), "g")


def test_within_a_branch_too():
    branch = helper.make_graph(
        [helper.make_node("Hardsomething", ["x"], ["z"])], "b", [], [onnx.ValueInfoProto(name="z")]
    )
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(ExportError, match="Hardsomething"):
        check_operators(graph(node), "g")
