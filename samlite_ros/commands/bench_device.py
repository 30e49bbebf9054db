"""`samlite bench device`: every backend that this device has, in turns, as one file to send back."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samlite_ros.commands.number_arguments import number
from samlite_ros.errors import SamliteError
from samlite_ros.foreign.files import make_folder, write_text

HELP = "every backend of this device: parts, memory, power mode, temperature, the stream beside it; one file"


def add_parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--model", default="demo", help="a checkpoint, for torch (demo)")
    add("--export", metavar="DIR", help="an export of it, for onnx and tensorrt (where `samlite export` puts it)")
    add("--device", default="auto", help="auto, cpu, cuda ...")
    add("--threads", type=number(int, 0, 1024), default=0, help="of the network on the CPU (what suits it)")
    add("--rounds", type=number(int, 1, 10000), default=15, help="interleaved rounds of each comparison (15)")
    add("-o", "--out", type=Path, default=Path("bench_out/device.json"), metavar="FILE", help="the report")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, write the report."""
    if find_spec("psutil") is None:
        raise SamliteError(f"the benchmark needs psutil. Type: {sys.executable} -m pip install psutil")
    from samlite_ros.bench import device
    from samlite_ros.bench.machine import describe

    chosen = {name: getattr(arguments, name) for name in ("model", "export", "device", "threads", "rounds")}
    report = device.run(device.DeviceOptions(**chosen), lambda line: print(line, file=sys.stderr, flush=True))
    make_folder(arguments.out.parent)
    write_text(arguments.out, json.dumps({"machine": describe(), "options": chosen} | report, indent=1) + "\n")
    _show(report)
    print(f"{arguments.out} is the whole of it: send it back")
    return 0 if report["backends"] else 1


def _show(report: dict[str, Any]) -> None:
    for name, found in report["backends"].items():
        print(f"{name}: {found['computes']}; loaded in {found['load_s']} s, {found['resident [MiB]']} MiB")
        for what, times in found.items():
            if isinstance(times, dict) and "wall [ms]" in times:
                print(f"  {what:16} {times['wall [ms]']:10.2f} ms ({times['low']:.2f} to {times['high']:.2f})")
        late = found["late query"]
        own, wait = late["text and decoding [ms]"], late["wait p95 [ms]"]
        print(f"  a late query     {wait:10.2f} ms p95, of which {own:.2f} its own")
    for name, times in report["stream"].items():
        print(f"stream {name}: p50 {times['p50']:.1f} ms, p95 {times['p95']:.1f} ms a frame")
    for name, reason in report["not measured"].items():
        print(f"{name} was not measured: {reason}")
