"""TensorRT's engines: built from an export's graphs, kept on disk, built again with the reason when one is stale."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samlite_ros.errors import ModelLoadError
from samlite_ros.foreign.json_file import read_json
from samlite_ros.foreign.limits import CHECKPOINT_JSON_BYTES
from samlite_ros.segmenter.exported.doing import doing
from samlite_ros.segmenter.exported.manifest import Graph, Manifest
from samlite_ros.segmenter.exported.profiles import Profile, profile

_LOG = logging.getLogger(__name__)
TIMING_CACHE = "timing.cache"


@dataclass(frozen=True)
class Place:
    """What engines are made of besides the graphs.

    Args:
        export: Folder of the graphs.
        cache: Folder of the engines; made.
        gpu: Name and compute capability.
    """

    export: Path
    cache: Path
    gpu: str


class EngineStore:
    """Loads engines, and builds those that are missing or stale.

    Args:
        trt: The module tensorrt, 10 or 11.
        manifest: Of the export.
        place: Where, and on which GPU.
    """

    def __init__(self, trt: Any, manifest: Manifest, place: Place) -> None:
        self._trt, self._manifest, self._place = trt, manifest, place
        self._logger = _logger(trt)
        self._runtime = trt.Runtime(self._logger)

    def open(self, name: str) -> Any:
        """The engine of one graph.

        Raises:
            ModelLoadError: TensorRT cannot read the graph, or cannot build it.
        """
        graph = self._manifest.graph(name)
        key = self._key(graph)
        engine, reason = self._kept(name, key)
        if engine is not None:
            return engine
        number = [g.name for g in self._manifest.graphs].index(name) + 1
        what = f"TensorRT is building engine {number} of {len(self._manifest.graphs)} ({name}), this takes minutes"
        _LOG.warning("%s: %s", what, reason)
        with doing(what):
            data = self._build(graph)
        self._keep(name, key, data)
        engine = self._runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise ModelLoadError(f"TensorRT cannot load the engine that it has built for {name}: {self._told()}")
        return engine

    def _key(self, graph: Graph) -> dict[str, Any]:
        """What an engine is bound to, by the name under which a change of it is told."""
        shapes = profile(graph, self._manifest)
        return {
            "graph": graph.files[graph.file],
            "TensorRT": self._trt.__version__,
            "GPU": self._place.gpu,
            "profile": {k: {n: list(s) for n, s in v.items()} for k, v in shapes._asdict().items()},
        }

    def _kept(self, name: str, key: dict[str, Any]) -> tuple[Any, str]:
        """The engine on disk, or None and why not."""
        folder = self._place.cache
        try:
            kept = read_json(folder / f"{name}.json", CHECKPOINT_JSON_BYTES)
            data = (folder / f"{name}.engine").read_bytes()
        except FileNotFoundError:
            return None, "there is none yet"
        except (OSError, ValueError) as error:
            return None, f"the one there cannot be read ({error})"
        changed = [n for n in key if not isinstance(kept, dict) or kept.get(n) != key[n]]
        if changed:
            words = [f"{n} was {_short(kept, n)}, is {_short(key, n)}" for n in changed]
            return None, f"the one there is stale: {'; '.join(words)}"
        engine = self._runtime.deserialize_cuda_engine(data)
        return engine, "" if engine is not None else f"the one there cannot be loaded ({self._told()})"

    def _build(self, graph: Graph) -> bytes:
        trt = self._trt
        builder = trt.Builder(self._logger)
        network = builder.create_network(_flags(trt))
        parser = trt.OnnxParser(network, self._logger)
        path = self._place.export / graph.file
        if not parser.parse_from_file(str(path)):
            errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise ModelLoadError(f"TensorRT {trt.__version__} cannot read {path}: {' '.join(errors.split())[:400]}")
        config = builder.create_builder_config()
        self._add_profile(builder, config, profile(graph, self._manifest))
        cache = config.create_timing_cache(self._timing_cache())
        config.set_timing_cache(cache, True)  # what another GPU has left is ignored
        serialized = builder.build_serialized_network(network, config)
        if serialized is None:
            raise ModelLoadError(
                f"TensorRT {trt.__version__} cannot build {path}: {self._told()}; often memory: close other programs,"
                " or export with a smaller --image-size"
            )
        self._write(TIMING_CACHE, bytes(config.get_timing_cache().serialize()))
        return bytes(serialized)

    def _add_profile(self, builder: Any, config: Any, shapes: Profile) -> None:
        if not shapes.min:
            return
        chosen = builder.create_optimization_profile()
        for name in shapes.min:
            chosen.set_shape(name, shapes.min[name], shapes.opt[name], shapes.max[name])
        config.add_optimization_profile(chosen)

    def _timing_cache(self) -> bytes:
        try:
            return (self._place.cache / TIMING_CACHE).read_bytes()
        except OSError:
            return b""

    def _keep(self, name: str, key: dict[str, Any], data: bytes) -> None:
        """An engine that cannot be kept is used all the same; what describes the one before goes first."""
        description = self._place.cache / f"{name}.json"
        try:
            description.unlink(missing_ok=True)
        except OSError as error:
            _warn(description, error)
            return
        if self._write(f"{name}.engine", data):
            self._write(description.name, json.dumps(key).encode())

    def _write(self, name: str, data: bytes) -> bool:
        """Whole or not at all; says why not."""
        path, partial = self._place.cache / name, self._place.cache / f"{name}.partial"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
            return True
        except OSError as error:
            partial.unlink(missing_ok=True)
            _warn(path, error)
            return False

    def _told(self) -> str:
        return self._logger.last or "it does not say why"


def _warn(path: Path, error: OSError) -> None:
    _LOG.warning("%s cannot be kept (%s): it is built again at the next start", path, error)


def _flags(trt: Any) -> int:
    """Strongly typed; from TensorRT 11 on there is nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _short(key: Any, name: str) -> str:
    text = json.dumps(key.get(name)) if isinstance(key, dict) else "unknown"
    return text if len(text) <= 40 else f"{text[:37]}..."


def _logger(trt: Any) -> Any:
    """TensorRT's messages in the log; the last error is kept for whoever raises."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        last = ""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                Logger.last = " ".join(message.split())[:400]
                _LOG.error("TensorRT: %s", message)
            elif severity == trt.ILogger.Severity.WARNING:
                _LOG.info("TensorRT: %s", message)

    return Logger()
