"""Every parameter of the node, once: its default, range, unit, meaning, and when it may change.

`Parameters` is the table. Declaration, validation, config/samlite.yaml and docs/parameters.md are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from samlite_ros.errors import ParameterError
from samlite_ros.foreign.words import quoted
from samlite_ros.parameters.spec import Change, Spec, coerced
from samlite_ros.queries import Hysteresis, QueryOptions
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.ring import Memory
from samlite_ros.streaming.tuning import ShapeTuning, Tuning

LONGEST_S = 1e6
"""Of any parameter that is a time, which becomes whole nanoseconds [s]."""


def _param(default: Any, meaning: str, change: Change, **limits: Any) -> Any:
    if limits.get("unit") == "s":
        limits.setdefault("high", LONGEST_S)
    return field(default=default, metadata={"spec": Spec(meaning, change, **limits)})


@dataclass(frozen=True)
class Parameters:
    """The node's parameters, valid as a whole.

    Raises:
        ParameterError: A value is of the wrong type or out of range; names the parameter. Integers are taken for
            doubles, one text for a list of texts (split at commas).
    """

    model: str = _param(
        "demo",
        "Checkpoint: demo, a local folder (also an export's), or a hub id such as vil-uob/sam3-litetext-s0.",
        Change.CONFIGURE,
    )
    backend: str = _param(
        "auto",
        "auto is an export of the model (`samlite export`) where there is one, else torch.",
        Change.CONFIGURE,
        choices=("auto", "torch", "onnx", "tensorrt"),
    )
    provider: str = _param(
        "auto",
        "Of backend onnx: auto is the best that there is; another one is this or an error.",
        Change.CONFIGURE,
        choices=("auto", "tensorrt", "cuda", "openvino", "cpu"),
    )
    device: str = _param("auto", "auto (CUDA where there is one), cpu, cuda, cuda:1 ...", Change.CONFIGURE)
    dtype: str = _param(
        "auto",
        "auto is bfloat16 on CUDA (float16 where the GPU lacks it), and on CPUs that compute in it for large networks; "
        "else float32.",
        Change.CONFIGURE,
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    image_size: int = _param(
        0,
        "Side of the network's square input; 0 = the checkpoint's own.",
        Change.CONFIGURE,
        low=0,
        high=4096,
        unit="px",
    )
    decode_batch: int = _param(
        0,
        "Phrases decoded at once, up to half as many more where that spares a batch; more need more memory; "
        "0 = 16 for a small network, 4 for a large one.",
        Change.CONFIGURE,
        low=0,
        high=256,
    )
    text_bank_size: int = _param(
        1000, "Phrases whose embeddings are kept in memory.", Change.CONFIGURE, low=255, high=100000
    )
    text_bank_folder: str = _param(
        "", "Folder where phrases' embeddings are kept between runs; empty = nowhere.", Change.CONFIGURE
    )
    keep_text_encoder: bool = _param(
        True, "false frees the text encoder's memory; it is loaded again for a new phrase.", Change.CONFIGURE
    )
    reuse_tokens: bool = _param(
        False,
        "Of a camera that stands, compute (by torch) only what changed since its last image; an approximation.",
        Change.CONFIGURE,
    )
    reuse_memory: int = _param(
        1024,
        "Memory for what is kept of the cameras for that; those for which there is none left are computed as a whole.",
        Change.CONFIGURE,
        low=0,
        high=1048576,
        unit="MB",
    )
    torch_threads: int = _param(
        0,
        "CPU threads of torch or ONNX Runtime; 0 = one for a small network, else their choice.",
        Change.CONFIGURE,
        low=0,
        high=1024,
    )
    opencv_threads: int = _param(0, "CPU threads of OpenCV; 0 = OpenCV's choice.", Change.CONFIGURE, low=0, high=1024)
    network_process: bool = _param(
        True,
        "Run the network in a process of its own; false = on a thread of the node's, for debuggers and profilers.",
        Change.START,
    )
    autostart: bool = _param(
        True, "Configure and activate at start; false = wait for a lifecycle manager.", Change.START
    )
    bond_period: float = _param(
        0.1,
        "Between heartbeats for Nav2's lifecycle manager, without autostart; 0 = none.",
        Change.START,
        low=0,
        high=2,
        unit="s",
    )
    image_transport: str = _param(
        "raw",
        "compressed reads <image>/compressed, JPEG or PNG.",
        Change.START,
        choices=("raw", "compressed"),
    )
    read_only: bool = _param(
        False,
        "Parameters and lifecycle cannot be changed from outside.",
        Change.START,
    )
    cameras: tuple[str, ...] = _param(
        (),
        "Names of the cameras: <name>/image in, ~/<name>/segmentation out; empty = one, without a name.",
        Change.START,
    )
    positions: bool = _param(
        True, "Tell where things are in space, where somebody asks and a depth image comes.", Change.START
    )
    depth_topics: tuple[str, ...] = _param(
        (),
        "Registered depth image of each camera, in their order (.../compressedDepth is read too); empty = the usual "
        "names beside its image.",
        Change.START,
    )
    camera_info_topics: tuple[str, ...] = _param(
        (), "Calibration of each camera, in their order; empty = camera_info beside its image.", Change.START
    )
    depth_tolerance: float = _param(
        0.02, "Stamps of depth image and camera image may differ by so much.", Change.START, low=0.0, high=1.0, unit="s"
    )
    target_frame: str = _param(
        "",
        "Frame of the positions, by tf2: map, odom, base_link ...; empty = the camera's optical frame.",
        Change.START,
    )
    transform_wait: float = _param(
        0.2,
        "Positions wait so long for a transform; then they are in the camera's frame.",
        Change.START,
        low=0.0,
        high=2.0,
        unit="s",
    )
    queries: tuple[str, ...] = _param((), "Phrases to search for from the start (client 'parameters').", Change.RUN)
    score_threshold: float = _param(
        0.5, "Least score of an instance, for queries that do not say.", Change.RUN, low=0.0, high=1.0
    )
    mask_threshold: float = _param(
        0.5, "Least probability of a pixel inside a mask, for queries that do not say.", Change.RUN, low=0.0, high=1.0
    )
    max_instances: int = _param(
        100,
        "Most instances of a query per frame, best first, for queries that do not say.",
        Change.RUN,
        low=1,
        high=65535,
    )
    max_queries: int = _param(2000, "Most standing queries, over all clients.", Change.RUN, low=1, high=100000)
    max_client_queries: int = _param(
        1000, "Most standing queries of one client; larger sets are refused whole.", Change.RUN, low=1, high=100000
    )
    max_client_class_ids: int = _param(
        200,
        "Most class ids of one client, of the 255 that there are; those that it freed count while they rest (60 s).",
        Change.RUN,
        low=1,
        high=255,
    )
    found_after: int = _param(
        2, "Searches in a row that must see a thing before its query is FOUND.", Change.RUN, low=1, high=1000
    )
    not_found_after: int = _param(
        3, "Searches in a row that must miss a thing before its query is NOT_FOUND.", Change.RUN, low=1, high=1000
    )
    settle_time: float = _param(
        2.0,
        "An outcome that no new search contradicts for so long counts too (still scenes).",
        Change.RUN,
        low=0.0,
        unit="s",
    )
    search_always: bool = _param(
        False, "Search although nobody subscribes to a result or to ~/query_status.", Change.RUN
    )
    propagate: bool = _param(
        True,
        "Answer every camera frame with masks carried to it; false = answer only the frames the network saw.",
        Change.RUN,
    )
    refine_masks: bool = _param(
        True,
        "Carry masks by corner points and a small network: half the error on real footage, up to twice the work.",
        Change.RUN,
    )
    keyframe_period: float = _param(
        0.0,
        "Least time between two passes of the network over one camera; 0 = no limit.",
        Change.RUN,
        low=0.0,
        unit="s",
    )
    decode_budget: float = _param(
        0.0,
        "Phrases take turns, so that a pass decodes for so long at most (docs/budget.md); 0 = each pass decodes all.",
        Change.RUN,
        low=0.0,
        unit="ms",
    )
    max_turn_age: float = _param(
        10.0,
        "With decode_budget: masks are carried up to this age while their phrase waits for its turn.",
        Change.RUN,
        low=0.0,
        unit="s",
    )
    remember_s: float = _param(
        0.0,
        "New phrases are looked for in the keyframes of so long too, while there is nothing better to do; 0 = never.",
        Change.RUN,
        low=0.0,
        high=3600.0,
        unit="s",
    )
    remember_memory: int = _param(
        256,
        "Memory for what is kept of all cameras for that; where it is short, fewer keyframes are.",
        Change.RUN,
        low=0,
        high=1048576,
        unit="MB",
    )
    merge_phrases: bool = _param(
        True, "What two phrases both find is one instance with two matches; false = two instances.", Change.RUN
    )
    max_mask_age: float = _param(2.0, "Older masks are withdrawn.", Change.RUN, low=0.0, unit="s")
    overlay_jpeg_quality: int = _param(80, "Quality of ~/overlay/compressed.", Change.RUN, low=1, high=100)
    max_image_pixels: int = _param(
        100_000_000,
        "Larger images are refused before memory is taken for them; four times the camera's own leave room.",
        Change.RUN,
        low=1,
        high=2**30,
        unit="px",
    )
    image_timeout: float = _param(
        2.0, "Without an image for so long the diagnostics warn.", Change.RUN, low=0.1, unit="s"
    )
    network_timeout: float = _param(
        60.0,
        "A pass that takes longer, and 5 times as long as any before, is ended: its process is started again.",
        Change.RUN,
        low=0.1,
        unit="s",
    )
    load_timeout: float = _param(
        1800.0, "The same of loading the model, download included.", Change.RUN, low=1.0, unit="s"
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, coerced(item, getattr(self, item.name)))
        _check_camera_names(self.cameras)
        if self.read_only and not self.autostart:
            raise ParameterError("read_only needs autostart: nobody could ever configure the node")

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras; one without a name is ""."""
        return self.cameras or ("",)

    @property
    def keeps_bond(self) -> bool:
        """A lifecycle manager is told that the node lives."""
        return not self.autostart and self.bond_period > 0

    def segmenter_options(self) -> SegmenterOptions:
        """What the segmenter is loaded with."""
        return SegmenterOptions(
            model=self.model,
            device=self.device,
            dtype=self.dtype,
            image_size=self.image_size or None,
            threads=self.torch_threads,
            decode_batch=self.decode_batch,
            text_bank_size=self.text_bank_size,
            text_bank_folder=Path(self.text_bank_folder) if self.text_bank_folder else None,
            keep_text_encoder=self.keep_text_encoder,
            backend=self.backend,
            provider=self.provider,
            reuse_tokens=self.reuse_tokens,
            reuse_memory_mb=self.reuse_memory,
        )

    def streaming_options(self) -> StreamingOptions:
        """How each camera is answered."""
        return StreamingOptions(
            propagate=self.propagate,
            tuning=Tuning(shapes=ShapeTuning(enabled=self.refine_masks)),
            keyframe_period_s=self.keyframe_period,
            max_mask_age_s=self.max_mask_age,
            merge_prompts=self.merge_phrases,
            decode_budget_s=self.decode_budget / 1e3,
            max_turn_age_s=self.max_turn_age,
            recalls=self.remember_s > 0,
        )

    def memory(self) -> Memory:
        """What is kept to look back."""
        return Memory(self.remember_s, self.remember_memory * 10**6)

    def query_options(self) -> QueryOptions:
        """Defaults and limits of queries."""
        return QueryOptions(
            score_threshold=self.score_threshold,
            mask_threshold=self.mask_threshold,
            max_instances=self.max_instances,
            max_queries=self.max_queries,
            max_client_queries=self.max_client_queries,
            max_client_class_ids=self.max_client_class_ids,
            cameras=self.camera_names,
            hysteresis=Hysteresis(self.found_after, self.not_found_after, round(self.settle_time * 1e9)),
        )


SPECS: dict[str, Spec] = {item.name: item.metadata["spec"] for item in fields(Parameters)}
"""What is allowed, by name."""


def updated(current: Parameters, values: Mapping[str, object], *, configured: bool) -> Parameters:
    """Other values for some parameters, all or none.

    Args:
        current: The values in force.
        values: New values by name; others' parameters are ignored.
        configured: The node is configured: only those that may change at any time may change.

    Raises:
        ParameterError: A value is wrong, or may not change now.
    """
    mine = {name: value for name, value in values.items() if name in SPECS}
    new = replace(current, **mine)  # type: ignore[arg-type]
    allowed = (Change.RUN,) if configured else (Change.RUN, Change.CONFIGURE)
    for name in mine:
        if getattr(new, name) != getattr(current, name) and SPECS[name].change not in allowed:
            raise ParameterError(f"{name} can be changed only {SPECS[name].change.value}")
    return new


def _check_camera_names(cameras: tuple[str, ...]) -> None:
    for name in cameras:
        if not name.isidentifier() or not name.isascii():
            raise ParameterError(f"cameras: {quoted(name)} cannot be part of a topic: letters, digits and _ only")
    if len(set(cameras)) != len(cameras):
        raise ParameterError(f"cameras: a name appears twice in {', '.join(cameras)}")
