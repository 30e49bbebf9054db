"""The model: are its files there and whole, what would compute it, and does it?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from samlite_ros.doctor.finding import Finding, error, guarded, ok, warn
from samlite_ros.doctor.machine import check_disk
from samlite_ros.errors import ParameterError, SamliteError
from samlite_ros.foreign.words import one_line
from samlite_ros.parameters.file import read_parameter_file
from samlite_ros.parameters.table import Parameters
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.choose import choose_backend
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.segmenter.exported.cache import cache_folder
from samlite_ros.segmenter.exported.manifest import check_files, is_export, read_manifest
from samlite_ros.segmenter.exported.source import checkpoint_digest
from samlite_ros.segmenter.files import check_folder
from samlite_ros.segmenter.sources import DEMO_FOLDER, cached_checkpoint, refuse_wrong_name
from samlite_ros.types import Frame

SMALL_BYTES = 300_000_000
"""Weights of no more are loaded for a trial; larger ones where that is asked for."""
TRIAL_SHAPE = (240, 320, 3)


def check_all(parameters: Path | None, model: str, *, whatever_size: bool = False) -> Iterator[Finding]:
    """Parameters, files, folders, and a trial.

    Args:
        parameters: The node's parameter file; None = its defaults.
        model: Instead of the one that the parameters name; empty = that one.
        whatever_size: Load it however large it is.
    """
    try:
        options = (read_parameter_file(parameters) if parameters else Parameters()).segmenter_options()
    except ParameterError as failure:
        yield error("parameters", one_line(failure), "the node refuses to start with it")
        return
    options = replace(options, model=model) if model else options
    folders = [("exports and engines", cache_folder())]
    folders += [("stored prompts", options.text_bank_folder)] if options.text_bank_folder else []
    yield from check_disk(folders)
    yield from guarded("model", lambda: check_model(options))
    yield from guarded("network", lambda: check_network(options, whatever_size=whatever_size))


def check_model(options: SegmenterOptions) -> Finding:
    """The files, without loading or fetching anything."""
    try:
        folder = local_folder(options.model)
        if folder is None:
            advice = f"the node fetches it at start; ahead of time: samlite download {options.model}"
            return warn("model", f"{options.model} is not on this machine", advice)
        return ok("model", f"{options.model}: {_whole(folder)}")
    except SamliteError as failure:
        return error("model", one_line(failure), "fetch or export it again, or name another one")


def local_folder(model: str) -> Path | None:
    """Where a model's files are; None = only the hub may have them.

    Raises:
        ModelLoadError: There is no such model.
    """
    if model == "demo":
        return DEMO_FOLDER
    path = Path(model).expanduser()
    if model and path.is_dir():
        return path
    refuse_wrong_name(model)
    return cached_checkpoint(model)


def _whole(folder: Path) -> str:
    """What the folder holds, in words; raises ModelLoadError where something is missing or broken."""
    if is_export(folder):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        return f"an export of {manifest.source} in {manifest.precision}, every file as it was exported"
    size = sum(path.stat().st_size for path in check_folder(folder))
    return f"a checkpoint of {size / 1e6:.1f} MB, sha256 {checkpoint_digest(folder)[:16]}"


def check_network(
    options: SegmenterOptions,
    *,
    whatever_size: bool = False,
    load: Callable[[SegmenterOptions], Segmenter] = load_segmenter,
) -> Finding:
    """Load it and let it look at one image, where it is small.

    Args:
        options: As the node would load it.
        whatever_size: Large ones too.
        load: Loads it.
    """
    folder = local_folder(options.model)
    if folder is None:
        return ok("network", "not tried: the model is not on this machine")
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if size > SMALL_BYTES and not whatever_size:
        return ok(
            "network", f"not tried: {size / 1e6:.0f} MB to load (--load does), by backend {choose_backend(options)}"
        )
    try:
        began_s = time.perf_counter()
        segmenter = load(options)
        loaded_s = time.perf_counter()
        segmenter.embed_image(Frame(np.zeros(TRIAL_SHAPE, np.uint8), stamp_ns=1))
    except SamliteError as failure:
        return error(
            "network", f"{options.model} does not compute: {one_line(failure)}", "see above, and docs/faults.md"
        )
    times = f"loaded in {loaded_s - began_s:.1f} s, first image in {time.perf_counter() - loaded_s:.2f} s"
    return ok("network", f"computes on {segmenter.computes}; {times}")
