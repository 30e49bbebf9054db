"""ONNX Runtime's sessions, one a graph; what passes between graphs stays on the device."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from samlite_ros.errors import InferenceError, ModelLoadError
from samlite_ros.segmenter.exported.manifest import MANIFEST, Graph, Manifest, Tensor
from samlite_ros.segmenter.exported.runtime import DeviceMemoryError, Value
from samlite_ros.segmenter.onnx.providers import NAMES, Target, provider_options

_LOG = logging.getLogger(__name__)
_FAILURES = (
    RuntimeError,
    state.Fail,
    state.RuntimeException,
    state.EPFail,
    state.InvalidArgument,
    state.NotImplemented,
)
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
}
"""ONNX Runtime's name to numpy's."""
_NO_MEMORY = ("allocate memory", "out of memory", "OUT_OF_MEMORY", "bad_alloc", "BFCArena")


class OnnxRuntime:
    """Implements `samlite_ros.segmenter.exported.runtime.Runtime`.

    Args:
        folder: Of the export.
        manifest: What is in it.
        target: Where to run.
        cache: Where TensorRT's engines are kept.
        threads: Of each session on the CPU; 0 = ONNX Runtime's choice.

    Raises:
        ModelLoadError: A graph cannot be loaded, or not by this provider.
    """

    def __init__(self, folder: Path, manifest: Manifest, target: Target, cache: Path, threads: int) -> None:
        self._folder, self._manifest, self._target = folder, manifest, target
        self._cache, self._threads = cache, threads
        self._shrink = False
        self._binds = target.memory != "cpu"  # on the host arrays do, and take 4 % less of a small network's pass
        self._sessions = {graph.name: self._open(graph.name) for graph in manifest.graphs}

    @property
    def provider(self) -> str:
        """A key of `providers.NAMES`."""
        return self._target.provider

    @property
    def device(self) -> str:
        return f"cuda:{self._target.device_id}" if self._target.memory == "cuda" else "cpu"

    @property
    def name(self) -> str:
        return f"ONNX Runtime {ort.__version__} {self._target.provider}"

    def run(self, graph: str, inputs: Mapping[str, Value], to_host: Collection[str]) -> dict[str, Value]:
        """See `Runtime`.

        Raises:
            DeviceMemoryError: The device's memory is used up.
            InferenceError: ONNX Runtime failed otherwise.
        """
        session = self._sessions.get(graph)
        if session is None:
            session = self._sessions[graph] = self._open(graph)
        names = tuple(self._manifest.graph(graph).outputs)
        if not self._binds:
            feeds = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
            values = self._compute(lambda options: session.run(names, feeds, options))
            return dict(zip(names, values, strict=True))
        binding = self._bind(session, inputs, {name: name in to_host for name in names})
        self._compute(lambda options: session.run_with_iobinding(binding, options))
        outputs = zip(names, binding.get_outputs(), strict=True)
        return {name: value.numpy() if name in to_host else value for name, value in outputs}

    def _bind(self, session: Any, inputs: Mapping[str, Value], outputs: Mapping[str, bool]) -> Any:
        """Inputs where they are; outputs in the host's memory, or on the device."""
        binding = session.io_binding()
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                binding.bind_cpu_input(name, np.ascontiguousarray(value))
            else:
                binding.bind_ortvalue_input(name, value)
        for name, on_host in outputs.items():
            device = ("cpu", 0) if on_host else (self._target.memory, self._target.device_id)
            binding.bind_output(name, *device)
        return binding

    def unload(self, graph: str) -> None:
        self._sessions.pop(graph, None)

    def free_memory(self) -> None:
        """The arenas shrink at the end of the next run."""
        self._shrink = True
        gc.collect()

    def _compute(self, run: Callable[[Any], Any]) -> Any:
        options = ort.RunOptions()
        if self._shrink:
            arenas = f"{'gpu' if self._target.memory == 'cuda' else 'cpu'}:{self._target.device_id}"
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arenas)
            self._shrink = False
        try:
            return run(options)
        except _FAILURES as error:
            failure = " ".join(str(error).split())[:300]
        # outside of the except block: a traceback would hold the arrays
        raise (DeviceMemoryError if any(sign in failure for sign in _NO_MEMORY) else InferenceError)(failure)

    def _open(self, name: str) -> Any:
        graph = self._manifest.graph(name)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or idle threads burn another's core
        wanted = NAMES[self._target.provider]
        settings = provider_options(self._target, graph, self._manifest, self._cache, self._threads)
        providers: list[Any] = [(wanted, settings)]
        if self._target.provider == "tensorrt":  # what its parser leaves over stays on the GPU
            providers.append((NAMES["cuda"], {"device_id": str(self._target.device_id)}))
        try:
            session = ort.InferenceSession(str(self._folder / graph.file), options, providers=providers)
        except Exception as error:  # of many kinds, the package's own and plain ones
            reason = " ".join(str(error).split())[:300]
            raise ModelLoadError(f"{self._folder / graph.file} cannot be loaded by {wanted}: {reason}") from error
        session.disable_fallback()  # it would go on with another provider, and say so on standard output
        if wanted not in session.get_providers():
            raise ModelLoadError(
                f"{wanted} could not be started and ONNX Runtime fell back to {', '.join(session.get_providers())}:"
                " its libraries are missing or do not fit the driver"
            )
        _check_session(session, graph, self._folder / graph.file)
        return session


def _check_session(session: Any, graph: Graph, path: Path) -> None:
    """Raise a ModelLoadError where a file is another graph than the manifest describes, whatever its hash."""
    for found, described in ((session.get_inputs(), graph.inputs), (session.get_outputs(), graph.outputs)):
        tensors = [(tensor.name, _tensor(tensor)) for tensor in found]
        if tensors == [(name, Tensor(t.dtype, _lengths(t.shape))) for name, t in described.items()]:
            continue
        raise ModelLoadError(f"{path} is not the graph that {MANIFEST} describes: export the model again")


def _tensor(value: Any) -> Tensor:
    return Tensor(_DTYPES.get(value.type, value.type), _lengths(value.shape))


def _lengths(shape: Sequence[Any]) -> tuple[int | str, ...]:
    """Without the names of free axes."""
    return tuple(length if isinstance(length, int) else "" for length in shape)
