"""The few calls of CUDA that TensorRT's runtime leaves to its user, by ctypes: nothing to install.

Source: CUDA Runtime API and Driver API reference; the functions are in every CUDA from 11 on.
"""

from __future__ import annotations

import ctypes
from typing import Any

from numpy.typing import NDArray

from samlite_ros.errors import InferenceError, ModelLoadError
from samlite_ros.segmenter.exported.runtime import DeviceMemoryError

_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyKind
_NO_MEMORY = 2  # cudaErrorMemoryAllocation
_MAJOR, _MINOR = 75, 76  # cudaDevAttrComputeCapability...
_NAME_BYTES = 256
_LIBRARIES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")


class Cuda:
    """One GPU and one stream.

    Args:
        device_id: Which GPU.

    Raises:
        ModelLoadError: There is no CUDA, or no such GPU.
    """

    def __init__(self, device_id: int) -> None:
        self._runtime = _open(_LIBRARIES)
        self._runtime.cudaGetErrorString.restype = ctypes.c_char_p
        if code := self._runtime.cudaSetDevice(device_id):
            raise ModelLoadError(f"GPU {device_id} cannot be used: {self._words(code)}")
        self.device_id = device_id
        stream = ctypes.c_void_p()
        self._check(self._runtime.cudaStreamCreate(ctypes.byref(stream)), "making a stream")
        self._stream = stream

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return self._stream.value or 0

    def gpu(self) -> str:
        """Name and compute capability, which engines are bound to."""
        driver, name = _open(("libcuda.so.1", "libcuda.so")), ctypes.create_string_buffer(_NAME_BYTES)
        device = ctypes.c_int()
        driver.cuInit(0)
        driver.cuDeviceGet(ctypes.byref(device), self.device_id)
        driver.cuDeviceGetName(name, _NAME_BYTES, device)
        return f"{name.value.decode(errors='replace')} sm{self._attribute(_MAJOR)}{self._attribute(_MINOR)}"

    def allocate(self, size: int) -> int:
        """Device memory of so many bytes; its address.

        Raises:
            DeviceMemoryError: It is used up.
        """
        address = ctypes.c_void_p()
        code = self._runtime.cudaMalloc(ctypes.byref(address), ctypes.c_size_t(size))
        if code == _NO_MEMORY:
            self._runtime.cudaGetLastError()  # or the next call would report it again
            raise DeviceMemoryError(f"no {size / 1e6:.1f} MB of device memory")
        self._check(code, "allocating memory")
        return address.value or 0

    def free(self, address: int) -> None:
        self._runtime.cudaFree(ctypes.c_void_p(address))

    def to_device(self, address: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array; it must live until `synchronise`."""
        self._copy(address, array.ctypes.data, array.nbytes, _TO_DEVICE)

    def to_host(self, array: NDArray[Any], address: int) -> None:
        """Copy into a contiguous array, which is filled after `synchronise`."""
        self._copy(array.ctypes.data, address, array.nbytes, _TO_HOST)

    def synchronise(self) -> None:
        """Wait for the stream."""
        self._check(self._runtime.cudaStreamSynchronize(self._stream), "computing")

    def _copy(self, target: int, source: int, size: int, kind: int) -> None:
        pointers = ctypes.c_void_p(target), ctypes.c_void_p(source)
        code = self._runtime.cudaMemcpyAsync(*pointers, ctypes.c_size_t(size), kind, self._stream)
        self._check(code, "copying")

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self._runtime.cudaDeviceGetAttribute(ctypes.byref(value), number, self.device_id)
        return value.value

    def _check(self, code: int, what: str) -> None:
        if code == _NO_MEMORY:
            raise DeviceMemoryError(f"{what}: {self._words(code)}")
        if code:
            raise InferenceError(f"CUDA failed while {what}: {self._words(code)}")

    def _words(self, code: int) -> str:
        return bytes(self._runtime.cudaGetErrorString(code)).decode(errors="replace")


def _open(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ModelLoadError(f"CUDA is not installed: none of {', '.join(names)} can be opened")
