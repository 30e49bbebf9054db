"""Every backend that this device has, on one model, in turns: parts, whole passes, memory, and the stream beside it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from samlite_ros.bench import board
from samlite_ros.bench.late_in_pass import measure_late
from samlite_ros.bench.new_process import in_new_process
from samlite_ros.bench.timing import Sample, interleave, summarise
from samlite_ros.errors import SamliteError
from samlite_ros.live.memory import peak_mib, resident_mib
from samlite_ros.scenes.render import render_scene
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.segmenter import Sam3LiteTextSegmenter
from samlite_ros.types import DecodeOptions, Frame, Prompt

PHRASES = tuple(f"{c} {s}" for c in ("red", "green", "blue", "yellow") for s in ("ball", "box", "cone", "cylinder"))
KEPT = 2
"""Masks of each phrase, whatever their scores: as much work for every backend."""
SEED = 7_000_003
_STREAM_THINGS, _STREAM_FRAMES, _STREAM_SIZE = 8, 90, (480, 640)


@dataclass(frozen=True)
class DeviceOptions:
    """What is measured.

    Args:
        model: A checkpoint, or an export.
        export: An export of it; None = where `samlite export` puts it.
        device, threads: As of the segmenter.
        counts: Numbers of phrases.
        rounds: Of each comparison.
    """

    model: str = "demo"
    export: str | None = None
    device: str = "auto"
    threads: int = 0
    counts: tuple[int, ...] = (1, 4, 8)
    rounds: int = 15


def run(options: DeviceOptions, on_step: Callable[[str], object]) -> dict[str, Any]:
    """Measure; the report as JSON holds it."""
    began_c = board.temperatures_c()
    loaded: dict[str, Sam3LiteTextSegmenter] = {}
    report: dict[str, Any] = {"backends": {}, "not measured": {}}
    for name, side in sides(options).items():
        on_step(f"{name} is loaded")
        began_s = time.perf_counter()
        try:
            loaded[name] = _segmenter(side)
            seconds = time.perf_counter() - began_s
            memory = in_new_process(memory_of, side)
            report["backends"][name] = {"computes": loaded[name].computes, "load_s": round(seconds, 2), **memory}
        except SamliteError as error:
            report["not measured"][name] = str(error)
    for what, calls in _calls(loaded, options.counts).items():
        on_step(what)
        for name, samples in interleave(calls, options.rounds).items():
            report["backends"][name][what] = _in_ms(samples)
    frame = Frame(render_scene(SEED).image, 0)
    for name, segmenter in loaded.items():
        on_step(f"late queries, {name}")
        report["backends"][name]["late query"] = measure_late(segmenter, frame, options.rounds)
    on_step("the stream, alone and beside each backend")
    report["stream"] = {"alone": stream_ms()}
    for name in loaded:
        with passing(sides(options)[name]):
            report["stream"][f"beside {name}"] = stream_ms()
    return report | {
        "board": {"release": board.release(), "power mode": board.power_mode(), "clocks": board.clocks()},
        "temperatures [C]": {"before": began_c, "after": board.temperatures_c()},
    }


def sides(options: DeviceOptions) -> dict[str, SegmenterOptions]:
    """Every backend and precision that may be there, by name."""
    base = SegmenterOptions(options.model, device=options.device, threads=options.threads)
    exported = replace(base, model=options.export or options.model)
    found = {f"torch {dtype}": replace(base, backend="torch", dtype=dtype) for dtype in ("float32", "auto")}
    for provider in ("tensorrt", "cuda", "openvino", "cpu"):
        found[f"onnx {provider}"] = replace(exported, backend="onnx", provider=provider)
    found["tensorrt"] = replace(exported, backend="tensorrt")
    return found


def memory_of(side: SegmenterOptions) -> dict[str, float]:
    """Resident memory of a process with nothing but this network, after a frame of four phrases, and its peak [MiB]."""
    segmenter = _segmenter(side)
    _whole_pass(segmenter, 4)()
    return {"resident [MiB]": round(resident_mib()), "peak [MiB]": round(peak_mib())}


def stream_ms() -> dict[str, float]:
    """Elapsed time of a frame of the stream, carrying eight things at 640x480 [ms]."""
    from samlite_ros.bench.streaming.cost import frame_costs
    from samlite_ros.scenes.clips import many_things, pendulum

    truth = pendulum(many_things(0, _STREAM_THINGS, _STREAM_SIZE, _STREAM_FRAMES // 3), _STREAM_FRAMES)
    walls = [1e3 * cost.wall_s for cost in frame_costs(truth)]
    return {f"p{share}": round(float(np.percentile(walls, share)), 2) for share in (50, 95)}


@contextmanager
def passing(side: SegmenterOptions) -> Iterator[None]:
    """A process beside this one that computes one pass after the other."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=pass_forever, args=(side, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(timeout=600):
            raise SamliteError("the network beside the stream did not begin within 10 minutes")
        yield
    finally:
        process.kill()
        process.join()


def pass_forever(side: SegmenterOptions, ready: Any) -> None:
    """In a process of its own."""
    segmenter = _segmenter(side)
    while True:
        _whole_pass(segmenter, 4)()
        ready.set()


def _segmenter(side: SegmenterOptions) -> Sam3LiteTextSegmenter:
    segmenter = load_segmenter(side)
    if not isinstance(segmenter, Sam3LiteTextSegmenter):
        raise SamliteError(f"{side.model} is computed by a {type(segmenter).__name__}")
    return segmenter


def _calls(
    loaded: Mapping[str, Sam3LiteTextSegmenter], counts: Sequence[int]
) -> dict[str, dict[str, Callable[[], object]]]:
    """What is timed: by what it is, then by backend."""
    calls = {"image": {name: _image(segmenter) for name, segmenter in loaded.items()}}
    for count in counts:
        calls[f"proposals, {count}"] = {name: _proposals(s, count) for name, s in loaded.items()}
        calls[f"whole pass, {count}"] = {name: _whole_pass(s, count) for name, s in loaded.items()}
    return calls


def _image(segmenter: Sam3LiteTextSegmenter) -> Callable[[], object]:
    image = render_scene(SEED).image
    return lambda: segmenter.backend.encode_image(image)


def _proposals(segmenter: Sam3LiteTextSegmenter, count: int) -> Callable[[], object]:
    """Of so many phrases, in the batches that the segmenter decodes."""
    features = segmenter.embed_prompts([Prompt(phrase) for phrase in PHRASES[:count]]).features
    image = segmenter.embed_image(Frame(render_scene(SEED).image, 0))
    step = segmenter.batch(image)
    return lambda: [segmenter.backend.propose(image.features, features[i : i + step]) for i in range(0, count, step)]


def _whole_pass(segmenter: Sam3LiteTextSegmenter, count: int) -> Callable[[], object]:
    """From the camera's image to masks at its size."""
    frame = Frame(render_scene(SEED).image, 0)
    asked = segmenter.embed_prompts([Prompt(phrase) for phrase in PHRASES[:count]])
    options = [DecodeOptions(0.0, KEPT)] * count
    return lambda: segmenter.segment(segmenter.embed_image(frame), asked, options)


def _in_ms(samples: Sequence[Sample]) -> dict[str, float]:
    wall, cpu = (summarise([1e3 * getattr(s, name) for s in samples]) for name in ("wall_s", "cpu_s"))
    return {"wall [ms]": round(wall.median, 3), "low": round(wall.low, 3), "high": round(wall.high, 3)} | {
        "cpu [ms]": round(cpu.median, 3)
    }
