"""TensorRT's execution contexts, one a graph; what passes between graphs stays on the device."""

from __future__ import annotations

import gc
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import InferenceError, ModelLoadError
from samlite_ros.segmenter.exported.manifest import Manifest
from samlite_ros.segmenter.exported.runtime import Value
from samlite_ros.segmenter.tensorrt.engines import EngineStore

_DTYPES = {"FLOAT": "float32", "HALF": "float16", "INT64": "int64", "INT32": "int32", "UINT8": "uint8"}
"""TensorRT's name to numpy's."""


class Device(Protocol):
    """See `cuda.Cuda`."""

    device_id: int

    @property
    def stream(self) -> int: ...

    def allocate(self, size: int) -> int: ...

    def free(self, address: int) -> None: ...

    def to_device(self, address: int, array: NDArray[Any]) -> None: ...

    def to_host(self, array: NDArray[Any], address: int) -> None: ...

    def synchronise(self) -> None: ...


class Pool:
    """Device memory that is used again: allocating would hold up the GPU in every pass.

    Args:
        device: Allocates.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._free: defaultdict[int, list[int]] = defaultdict(list)

    def take(self, size: int) -> int:
        return self._free[size].pop() if self._free[size] else self._device.allocate(max(size, 1))

    def give(self, address: int, size: int) -> None:
        self._free[size].append(address)

    def clear(self) -> None:
        """Give what is not used back to the device."""
        for addresses in self._free.values():
            for address in addresses:
                self._device.free(address)
        self._free.clear()


class DeviceArray:
    """An array on the device; its memory goes back to the pool with it."""

    def __init__(self, pool: Pool, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.nbytes = math.prod(shape) * self.dtype.itemsize
        self._pool = pool
        self.address = pool.take(self.nbytes)

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._pool.give(self.address, self.nbytes)


class TensorRtRuntime:
    """Implements `samlite_ros.segmenter.exported.runtime.Runtime`.

    Args:
        manifest: Of the export.
        store: Opens engines.
        device: The GPU.
        version: TensorRT's.

    Raises:
        ModelLoadError: An engine cannot be built, or does not fit its graph.
    """

    def __init__(self, manifest: Manifest, store: EngineStore, device: Device, version: str) -> None:
        self._manifest, self._store, self._cuda = manifest, store, device
        self._version = version
        self._pool = Pool(device)
        self._contexts: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        for graph in manifest.graphs:
            self._open(graph.name)

    @property
    def device(self) -> str:
        return f"cuda:{self._cuda.device_id}"

    @property
    def name(self) -> str:
        return f"TensorRT {self._version}, engines work in {sum(self._sizes.values()) / 1e6:.0f} MB"

    def run(self, graph: str, inputs: Mapping[str, Value], to_host: Collection[str]) -> dict[str, Value]:
        """See `Runtime`. The stream is waited for: a late query must not stand behind what is only begun.

        Raises:
            DeviceMemoryError: The device's memory is used up.
            InferenceError: TensorRT failed otherwise.
        """
        context = self._contexts.get(graph) or self._open(graph)
        held = [self._bind_input(context, graph, name, value) for name, value in inputs.items()]
        outputs = {name: self._bind_output(context, graph, name) for name in self._manifest.graph(graph).outputs}
        if not context.execute_async_v3(self._cuda.stream):
            raise InferenceError(f"TensorRT failed to compute graph {graph}")
        arrays = {name: np.empty(outputs[name].shape, outputs[name].dtype) for name in to_host}
        for name, array in arrays.items():
            self._cuda.to_host(array, outputs[name].address)
        self._cuda.synchronise()
        del held
        return {name: arrays.get(name, value) for name, value in outputs.items()}

    def unload(self, graph: str) -> None:
        self._contexts.pop(graph, None)
        self._sizes.pop(graph, None)

    def free_memory(self) -> None:
        gc.collect()
        self._pool.clear()

    def _bind_input(self, context: Any, graph: str, name: str, value: Value) -> Any:
        """Returns what must live until the stream was waited for."""
        held = value
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            value = DeviceArray(self._pool, array.shape, array.dtype.name)
            self._cuda.to_device(value.address, array)
            held = (array, value)
        if not context.set_input_shape(name, value.shape):
            raise InferenceError(f"graph {graph}: {name} of shape {value.shape} is outside of the engine's profile")
        context.set_tensor_address(name, value.address)
        return held

    def _bind_output(self, context: Any, graph: str, name: str) -> DeviceArray:
        shape = tuple(int(axis) for axis in context.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise InferenceError(f"graph {graph}: the shape of {name} is not known, {shape}")
        value = DeviceArray(self._pool, shape, self._manifest.graph(graph).outputs[name].dtype)
        context.set_tensor_address(name, value.address)
        return value

    def _open(self, name: str) -> Any:
        engine = self._store.open(name)
        graph = self._manifest.graph(name)
        for tensor, expected in {**graph.inputs, **graph.outputs}.items():
            found = _DTYPES.get(engine.get_tensor_dtype(tensor).name, engine.get_tensor_dtype(tensor).name)
            if found != expected.dtype:
                raise ModelLoadError(f"the engine of {name} has {tensor} as {found}, its graph as {expected.dtype}")
        context = engine.create_execution_context()
        if context is None:
            raise ModelLoadError(f"TensorRT has no memory to run {name}")
        self._contexts[name] = context
        self._sizes[name] = int(getattr(engine, "device_memory_size_v2", 0) or engine.device_memory_size)
        return context
