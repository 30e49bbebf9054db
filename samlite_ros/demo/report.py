"""What the demo shows in the end: a table, a JSON file, pictures and a video."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from samlite_ros.demo.observer import Arrival
from samlite_ros.demo.run import DemoResult
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
    (folder / "demo.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
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
    }


def to_table(figures: dict[str, object]) -> str:
    """The figures for people."""
    latency, way = figures["latency_ms"], figures["way_ms"]
    return (
        "\n  camera           {size} at {camera_hz:g} Hz, rendered scene {scene}, network {model}\n"
        "  asked            {phrase!r}\n"
        "  answered         {answered_frames} frames, {answered_hz} a second\n"
        f"  latency          {latency['p50']} ms (p95 {latency['p95']} ms) from publishing a frame to its answer\n"  # type: ignore[index]
        f"  of it, messages  {way['there']} ms an image on its way there, {way['back']} ms a short message back\n"  # type: ignore[index]
        "  knowledge        {knowledge_age_ms_p50} ms old in the median: the image that the network saw\n"
        "  masks            mean IoU {mean_iou:.3f} of those matched; recall {recall:.3f}, precision {precision:.3f}\n"
        "  asked            {absent_phrase!r}, which is not there\n"
        "  outcome          {absent_outcome} after {absent_seconds} s, presence {absent_presence}"
    ).format(**figures)


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
    chosen = np.linspace(0, len(result.gallery) - 1, SHEET_ROWS * SHEET_COLUMNS).astype(int)
    images = list(_overlays(result, [result.gallery[i] for i in chosen]))
    rows = [np.hstack(images[i : i + SHEET_COLUMNS]) for i in range(0, len(images), SHEET_COLUMNS)]
    cv2.imwrite(str(folder / "overlay.png"), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return "overlay.png"


def _write_video(result: DemoResult, folder: Path) -> str:
    size = (result.scene.width, result.scene.height)
    writer = cv2.VideoWriter(str(folder / "demo.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), _rate_hz(result.gallery), size)  # type: ignore[attr-defined]
    for image in tqdm(_overlays(result, result.gallery), "video", len(result.gallery), unit=" frames"):
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return "demo.mp4"
