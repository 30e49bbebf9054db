"""The image's graphs in int8, by ONNX Runtime's quantiser: the products of the ViT's layers, calibrated on frames.

Weights in int8 a channel, what goes into a product in int8 a tensor, both symmetric, as pairs of QuantizeLinear and
DequantizeLinear, which TensorRT reads as they are. Products give float32, and biases stay: TensorRT reads no int32
ones, and rounding what comes out costs more than it gains. Attention's own products, softmax, norms, the neck and all
that follows are left alone.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import ExportError
from samlite_ros.segmenter.export.operators import check_operators
from samlite_ros.segmenter.exported.manifest import Graph, sha256_of
from samlite_ros.segmenter.exported.square import to_square

_PRODUCTS = ("MatMul", "Gemm")
_OF_LAYERS = "/blocks."
"""The names of the layers' nodes contain it, as torch's exporter makes them from the modules."""
_OPTIONS = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "MatMulConstBOnly": True,
    "QuantizeBias": False,
    "OpTypesToExcludeOutputQuantization": list(_PRODUCTS),
}


def quantise_stages(
    folder: Path,
    stages: Sequence[Graph],
    size: int,
    frames: Sequence[NDArray[np.uint8]],
    tell: Callable[[str], object] = lambda _: None,
) -> list[Graph]:
    """Write the image's stages in int8 beside those in float32.

    Args:
        folder: Of the export.
        stages: In float32, in their order.
        size: Side of the square input [px].
        frames: uint8 (H, W, 3), RGB: such as the network will see.
        tell: Is told what is done next.

    Returns:
        The stages' new graphs, under their old names.

    Raises:
        ExportError: A graph needs what TensorRT lacks, or the quantiser fails, as it does where the disk is full.
    """
    inputs: list[NDArray[Any]] = [to_square(frame, size)[None] for frame in frames]
    found = []
    for stage in stages:
        tell(f"{stage.name} is calibrated on {len(inputs)} frames")
        found.append(_quantise(folder, stage, inputs))
        if stage is not stages[-1]:
            inputs = _outputs(folder / stage.file, next(iter(stage.inputs)), inputs)
    return found


def rounded_file(folder: Path, stage: Graph) -> Path:
    """Where a stage is written in int8."""
    return folder / f"{stage.name}_int8.onnx"


def _quantise(folder: Path, stage: Graph, inputs: Sequence[NDArray[Any]]) -> Graph:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    path = rounded_file(folder, stage)
    logging.getLogger().addFilter(_is_worth_reading)
    try:
        quantize_static(
            str(folder / stage.file),
            str(path),
            _Reader(next(iter(stage.inputs)), inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_PRODUCTS),
            nodes_to_quantize=_products_of_layers(onnx.load(str(folder / stage.file))),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=dict(_OPTIONS),
        )
    except OSError:
        raise  # it names what could not be written
    except Exception as error:  # of many kinds: it reads what it has written, and does not look whether it has
        free = shutil.disk_usage(folder).free / 1e6
        why = " ".join(str(error).split())[:200]
        raise ExportError(f"{stage.name} cannot be rounded: {why}; {free:.0f} MB are free in {folder}") from error
    finally:
        logging.getLogger().removeFilter(_is_worth_reading)
        (folder / f"{stage.name}-inferred.onnx").unlink(missing_ok=True)  # the quantiser's, where it failed
    check_operators(onnx.load(str(path)), stage.name)
    return Graph(stage.name, {path.name: sha256_of(path)}, stage.inputs, stage.outputs)


class _Reader:
    """Feeds the calibration, one frame after the other."""

    def __init__(self, name: str, inputs: Sequence[NDArray[Any]]) -> None:
        self._feeds: Iterator[Mapping[str, NDArray[Any]]] = iter([{name: value} for value in inputs])

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """The next one's inputs; None = that was all."""
        return next(self._feeds, None)


def _products_of_layers(model: Any) -> list[str]:
    """Names of the products with weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in _PRODUCTS and node.input[1] in weights and _OF_LAYERS in node.name
    ]


def _outputs(path: Path, name: str, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [session.run(None, {name: value})[0] for value in inputs]


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """The quantiser advises a preparation that the export has done."""
    return "pre-processing" not in record.getMessage()
