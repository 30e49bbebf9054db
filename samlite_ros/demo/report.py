"""What the demo shows in the end: a table, a JSON file, pictures and a video."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from samlite_ros.demo.observer import Arrival
from samlite_ros.demo.run import DemoResult, bar_interval_s
from samlite_ros.foreign.files import write_text
from samlite_ros.messages.fill import stamp_ns
from samlite_ros.messages.read import read_segmentation
from samlite_ros.pixels.overlay import draw_overlay

Image = NDArray[np.uint8]
SHEET_ROWS, SHEET_COLUMNS = 2, 3


def report(result: DemoResult, folder: Path, *, video: bool) -> str:
    """Write everything into a folder.

    Returns:
        The table, for people.
    """
    figures = to_figures(result)
    write_text(folder / "demo.json", json.dumps(figures, indent=2) + "\n")
    written = ["demo.json", _write_sheet(result, folder)]
    if video:
        written.append(_write_video(result, folder))
    files = ", ".join(str(folder / name) for name in written)
    return f"{to_table(figures)}\n  wrote            {files}"


def to_figures(result: DemoResult) -> dict[str, object]:
    """Every figure, by name."""
    p50_ms, p95_ms = result.latencies_ms
    absent = result.absent
    return {
        "scene": f"{result.scene.motion} {result.scene.seed}",
        "size": f"{result.scene.width}x{result.scene.height}",
        "camera_hz": result.scene.rate,
        "model": result.answers[0].message.model_id,
        "phrase": result.phrase,
        "answered_frames": len(result.answers),
        "answered_hz": round(result.rate_hz, 2),
        "latency_ms": {"p50": round(p50_ms, 1), "p95": round(p95_ms, 1)},
        "way_ms": {"there": round(result.way.there_s * 1e3, 1), "back": round(result.way.back_s * 1e3, 1)},
        "knowledge_age_ms_p50": round(float(np.median([_age_ms(answer) for answer in result.answers])), 1),
        "mean_iou": round(result.scores.mean_iou, 4),
        "recall": round(result.scores.recall, 4),
        "precision": round(result.scores.precision, 4),
        "absent_phrase": absent.phrase,
        "absent_outcome": "FOUND" if absent.found else "NOT_FOUND",
        "absent_presence": round(absent.presence, 4),
        "absent_seconds": round(absent.seconds, 2),
        "asked_for_pictures": {p: "FOUND" if found else "NOT_FOUND" for p, found in result.gallery.found.items()},
        "frames": {**asdict(result.traffic), "lost_on_the_way": result.traffic.lost},
        "machine": {
            "cores": result.load.cores,
            "load_at_start": round(result.load.start, 1),
            "load_at_end": round(result.load.end, 1),
            "busy": result.load.is_busy,
        },
    }


_BUSY = "\n  busy             more wants to run than there are cores: answers come later and fewer than on a quiet one"
_TABLE = """
  camera           {size} at {camera_hz:g} Hz, rendered scene {scene}, network {model}
  asked            {phrase!r}
  answered         {answered_frames} frames, {answered_hz} a second
  latency          {latency_ms[p50]} ms (p95 {latency_ms[p95]} ms) from publishing a frame to its answer
  of it, messages  {way_ms[there]} ms an image on its way there, {way_ms[back]} ms a short message back
  knowledge        {knowledge_age_ms_p50} ms old in the median: the image that the network saw
  masks            mean IoU {mean_iou:.3f} of those matched; recall {recall:.3f}, precision {precision:.3f}
  frames           {frames[due]} due, {frames[published]} published, {frames[lost_on_the_way]} lost on the way, \
{frames[received]} reached the node, {frames[answered]} answered
  machine          {machine[cores]} cores, load {machine[load_at_start]} before, {machine[load_at_end]} after{busy}
  asked            {absent_phrase!r}, which is not there
  outcome          {absent_outcome} after {absent_seconds} s, presence {absent_presence}
  for pictures     asked {asked} at once; {absent}
  old in pictures  how long ago the network itself saw a thing, whose mask is carried from there on"""


def to_table(figures: Mapping[str, Any]) -> str:
    """The figures for people."""
    outcomes: Mapping[str, str] = figures["asked_for_pictures"]
    absent = [phrase for phrase, outcome in outcomes.items() if outcome != "FOUND"]
    return _TABLE.format(
        **figures,
        busy=_BUSY if figures["machine"]["busy"] else "",
        asked=_listed(outcomes),
        absent=f"not seen in them: {_listed(absent)}" if absent else "all were seen",
    )


def _listed(phrases: Iterable[str]) -> str:
    return ", ".join(map(repr, phrases))


def _age_ms(answer: Arrival) -> float:
    message = answer.message
    return (stamp_ns(message.header.stamp) - stamp_ns(message.keyframe_stamp)) / 1e6


def _rate_hz(answers: Sequence[Arrival]) -> float:
    """Answers a second of the camera's time [Hz]."""
    first_ns, last_ns = (stamp_ns(answers[i].message.header.stamp) for i in (0, -1))
    return max((len(answers) - 1) * 1e9 / max(last_ns - first_ns, 1), 1.0)


def _overlays(result: DemoResult, answers: Sequence[Arrival]) -> Iterator[Image]:
    """The overlay of each answer on the very frame that it answers."""
    sequence = result.scene.sequence()
    for answer in answers:
        frame = sequence[result.scene.index_of(stamp_ns(answer.message.header.stamp))]
        yield draw_overlay(frame.image, read_segmentation(answer.message))


def _write_sheet(result: DemoResult, folder: Path) -> str:
    """Frames of the gallery side by side."""
    answers = result.gallery.answers
    chosen = np.linspace(0, len(answers) - 1, SHEET_ROWS * SHEET_COLUMNS).astype(int)
    images = list(_overlays(result, [answers[i] for i in chosen]))
    rows = [np.hstack(images[i : i + SHEET_COLUMNS]) for i in range(0, len(images), SHEET_COLUMNS)]
    cv2.imwrite(str(folder / "overlay.png"), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return "overlay.png"


def _write_video(result: DemoResult, folder: Path) -> str:
    answers, size = result.gallery.answers, (result.scene.width, result.scene.height)
    codec = cv2.VideoWriter_fourcc(*"mp4v")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(folder / "demo.mp4"), codec, _rate_hz(answers), size)
    overlays = _overlays(result, answers)
    for image in tqdm(overlays, "video", len(answers), unit=" frames", mininterval=bar_interval_s()):
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return "demo.mp4"
