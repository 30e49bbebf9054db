"""Is every operator of a graph one that TensorRT 10 has?"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from samlite_ros.errors import ExportError

OPSET = 20
"""The newest that TensorRT 10.0 reads."""

SOURCE = "https://github.com/onnx/onnx-tensorrt/blob/10.1-GA/docs/operators.md"

SUPPORTED = frozenset(
    re.findall(
        r"\w+",
        """
        Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike
        Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DeformConv
        DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather
        GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual
        GridSample GroupNormalization GRU Hardmax HardSigmoid HardSwish Identity If ImageScaler
        InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
        LpNormalization LpPool LRN LSTM MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg
        NonMaxSuppression NonZero Not OneHot Or Pad ParametricSoftplus Pow PRelu QuantizeLinear RandomNormal
        RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
        ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
        ReverseSequence RNN RoiAlign Round ScaledTanh Scan Scatter ScatterElements ScatterND Selu Shape Shrink
        Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan
        Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
        """,
    )
)
"""Names that `SOURCE` marks as supported, with the restrictions that it names."""

_CONSTANT_INPUTS = {
    "ConvTranspose": (1,),
    "InstanceNormalization": (1, 2),
    "Slice": (3,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}
"""Inputs that must be constants for TensorRT, by position."""
_INT32 = 6
"""onnx.TensorProto.INT32."""


def check_operators(model: Any, name: str) -> Counter[str]:
    """Check an onnx.ModelProto.

    Returns:
        How often each operator occurs.

    Raises:
        ExportError: TensorRT lacks one, or it is used in a way that TensorRT lacks.
    """
    nodes = list(_nodes(model.graph))
    found = Counter(node.op_type for node in nodes)
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in ("", "ai.onnx")})
    lacking = [*sorted(set(found) - SUPPORTED), *foreign]
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {node.output[0] for node in nodes if node.op_type == "Constant"}
    int32 = {tensor.name for tensor in model.graph.initializer if tensor.data_type == _INT32}
    for node in nodes:
        if node.op_type == "DequantizeLinear" and node.input[0] in int32:
            lacking.append("DequantizeLinear of int32")
        for place in _CONSTANT_INPUTS.get(node.op_type, ()):
            if place < len(node.input) and node.input[place] and node.input[place] not in constants:
                lacking.append(f"{node.op_type} whose input {place} is computed")
    if lacking:
        raise ExportError(f"graph {name} needs what TensorRT lacks ({SOURCE}): {', '.join(dict.fromkeys(lacking))}")
    return found


def _nodes(graph: Any) -> Any:
    """Of a graph and of those within its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)
