"""One graph written to its file: torch's exporter, constants folded, checked, described for the manifest."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from samlite_ros.errors import ExportError
from samlite_ros.segmenter.export.operators import OPSET, check_operators
from samlite_ros.segmenter.export.parts import Part
from samlite_ros.segmenter.export.shapes_only import shapes_only
from samlite_ros.segmenter.exported.manifest import Graph, Tensor, sha256_of


def write_graph(part: Part, folder: Path) -> Graph:
    """Export one graph; its file appears when it is whole.

    torch's tracing exporter is used: its newer one takes thirty times as long on these graphs, and is not there in all
    releases of torch that this package runs with. What tracing may silently fix is a free axis, so that the export's
    parity is measured for every number of phrases.

    Raises:
        ExportError: torch cannot export it, or it needs what TensorRT lacks.
        OSError: It cannot be written.
    """
    import onnx

    path = folder / f"{part.name}.onnx"
    partial = path.with_suffix(".partial")
    try:
        with _quiet():
            _trace(part, partial)
            model = _folded(onnx.load(str(partial)))
        check_operators(model, part.name)
        inputs, outputs = _tensors(model.graph.input), _tensors(model.graph.output)
        if tuple(inputs) != part.input_names or tuple(outputs) != part.output_names:
            raise ExportError(f"graph {part.name} takes {', '.join(inputs)} and gives {', '.join(outputs)}")
        onnx.save(model, str(partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # gigabytes, where the disk is full
    return Graph(part.name, {path.name: sha256_of(path)}, inputs, outputs)


def _trace(part: Part, path: Path) -> None:
    axes = {name: dict(free) for name, free in zip(part.input_names, part.free, strict=True) if free}
    module = part.build().eval()  # before: constants are computed
    try:
        with torch.no_grad(), shapes_only():
            torch.onnx.export(
                module,
                part.inputs,
                str(path),
                dynamo=False,
                input_names=list(part.input_names),
                output_names=list(part.output_names),
                dynamic_axes=axes,
                opset_version=OPSET,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise ExportError(f"graph {part.name}: torch cannot export it: {' '.join(str(error).split())[:300]}") from error


def _folded(model: Any) -> Any:
    """Without what does not depend on the inputs, and with shapes that tell which axes are free.

    The exporter notes the examples' shapes as if they were all: they are forgotten first, or folding would fix them.
    """
    import onnx
    from onnxscript import optimizer

    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(optimizer.optimize(model), data_prop=True)


def _tensors(values: Any) -> dict[str, Tensor]:
    import onnx

    found = {}
    for value in values:
        kind = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        found[value.name] = Tensor(dtype, tuple(d.dim_param or d.dim_value for d in kind.shape.dim))
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter and onnxscript tell much that is not the user's affair."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
