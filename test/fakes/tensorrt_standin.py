"""Stands for the module tensorrt and for a GPU: the runtime's calls, computed by ONNX Runtime on the host.

An engine is the text of what it was made of; it cannot be loaded by another version, nor on another GPU.
"""

from __future__ import annotations

import ctypes
import json
from enum import Enum, IntEnum
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort

from samlite_ros.segmenter.exported.runtime import DeviceMemoryError

_TYPES = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64", "tensor(uint8)": "UINT8"}
_NUMPY = {"FLOAT": np.float32, "HALF": np.float16, "INT64": np.int64, "UINT8": np.uint8}


class Gpu:
    """Device memory is host memory with addresses; it can be used up."""

    device_id = 0
    stream = 7

    def __init__(self, limit=None):
        self.buffers, self.limit, self.waited = {}, limit, 0

    def allocate(self, size):
        if self.limit is not None and sum(map(len, self.buffers.values())) + size > self.limit:
            raise DeviceMemoryError(f"no {size} bytes")
        buffer = (ctypes.c_ubyte * size)()
        self.buffers[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    def free(self, address):
        del self.buffers[address]

    def to_device(self, address, array):
        assert address in self.buffers and len(self.buffers[address]) >= array.nbytes
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def to_host(self, array, address):
        assert address in self.buffers
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def synchronise(self):
        self.waited += 1


class Context:
    def __init__(self, session, profile):
        self._session, self._profile = session, profile
        self._shapes, self._addresses = {}, {}
        self.works = True

    def set_input_shape(self, name, shape):
        self._shapes[name] = tuple(shape)
        low, _, high = self._profile.get(name, (shape, shape, shape))
        return all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))

    def set_tensor_address(self, name, address):
        self._addresses[name] = address

    def get_tensor_shape(self, name):
        """Of an output: what the inputs' shapes make of it; here by computing it."""
        return self._compute()[name].shape

    def execute_async_v3(self, stream):
        assert stream == Gpu.stream
        for name, computed in self._compute().items():
            value = np.ascontiguousarray(computed)
            ctypes.memmove(self._addresses[name], value.ctypes.data, value.nbytes)
        return self.works

    def _compute(self):
        inputs = {}
        for tensor in self._session.get_inputs():
            dtype = np.dtype(_NUMPY[_TYPES[tensor.type]])
            shape = self._shapes[tensor.name]
            data = ctypes.string_at(self._addresses[tensor.name], int(np.prod(shape)) * dtype.itemsize)
            inputs[tensor.name] = np.frombuffer(data, dtype).reshape(shape)
        names = [o.name for o in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, inputs), strict=True))


class Engine:
    device_memory_size_v2 = 5_000_000

    def __init__(self, content):
        self._content = content
        self._session = ort.InferenceSession(content["graph"], providers=["CPUExecutionProvider"])

    def create_execution_context(self):
        return Context(self._session, self._content["profile"])

    def get_tensor_dtype(self, name):
        tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
        return SimpleNamespace(name=next(_TYPES[t.type] for t in tensors if t.name == name))


def make_tensorrt(version="10.16.1", gpu="Orin sm87"):
    """A module tensorrt; `module.built` lists the graphs that engines were built for."""
    module = SimpleNamespace(__version__=version, built=[], refuse="", fail="")

    class ILogger:
        Severity = Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")

    class Parser:
        def __init__(self, network, logger):
            self._network = network
            self.num_errors = 0

        def parse_from_file(self, path):
            self.num_errors = int(bool(module.refuse))
            self._network["graph"] = path
            return not module.refuse

        def get_error(self, number):
            return module.refuse

    class Config:
        def __init__(self):
            self.profile, self.cache = {}, b""

        def create_timing_cache(self, data):
            return SimpleNamespace(serialize=lambda: data + b".")

        def set_timing_cache(self, cache, ignore_mismatch):
            self.cache = cache

        def get_timing_cache(self):
            return self.cache

        def add_optimization_profile(self, profile):
            self.profile = profile.shapes

    class Profile:
        def __init__(self):
            self.shapes = {}

        def set_shape(self, name, *sizes):
            self.shapes[name] = sizes

    class Builder:
        def __init__(self, logger):
            self._logger = logger

        def create_network(self, flags):
            assert flags == (1 << 3 if version.startswith("10") else 0), "not strongly typed"
            return {}

        def create_builder_config(self):
            return Config()

        def create_optimization_profile(self):
            return Profile()

        def build_serialized_network(self, network, config):
            if module.fail:
                self._logger.log(ILogger.Severity.ERROR, module.fail)
                return None
            module.built.append(network["graph"].rsplit("/", 1)[1].removesuffix(".onnx"))
            content = {"graph": network["graph"], "profile": config.profile, "made_for": [version, gpu]}
            return json.dumps(content).encode()

    class Runtime:
        def __init__(self, logger):
            self._logger = logger

        def deserialize_cuda_engine(self, data):
            try:
                content = json.loads(data)
            except ValueError:
                content = {}
            if content.get("made_for") != [version, gpu]:
                self._logger.log(ILogger.Severity.ERROR, "magic tag does not match")
                return None
            return Engine(content)

    flags = IntEnum("Flag", {"STRONGLY_TYPED": 3}) if version.startswith("10") else SimpleNamespace()
    module.__dict__.update(
        ILogger=ILogger, OnnxParser=Parser, Builder=Builder, Runtime=Runtime, NetworkDefinitionCreationFlag=flags
    )
    return module
