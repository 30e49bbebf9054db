"""The training set: scenes rendered once, at the network's input size, kept in memory-mapped files."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm import tqdm

from samlite_ros.scenes.render import TRAINING_STREAM, Scene, render_scene
from samlite_ros.scenes.vocabulary import COLOURS, HELD_OUT_PAIRS, SHAPES
from samlite_ros.scenes.world import WorldOptions

MAX_OBJECTS = 8
_RENDER_SIZE = (480, 640)
_OPTIONS = WorldOptions(excluded_pairs=HELD_OUT_PAIRS)


@dataclass(frozen=True, eq=False)
class SceneSet:
    """Rendered scenes of one size; the arrays may be memory-mapped.

    Args:
        images: uint8 (N, S, S, 3), RGB.
        ids: uint8 (N, S, S): 1-based index into the scene's objects, 0 = none.
        boxes: float32 (N, 8, 4): x0, y0, x1, y1 of the visible pixels, 0 to 1; 0 where there is no object.
        labels: int8 (N, 8, 2): index of colour and shape; -1 where there is no object.
    """

    images: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, stop: int) -> SceneSet:
        """The scenes from `start` to before `stop`."""
        rows = slice(start, stop)
        return SceneSet(self.images[rows], self.ids[rows], self.boxes[rows], self.labels[rows])


def build_scene_set(folder: Path, count: int, size_px: int, workers: int, chunk: int = 250) -> SceneSet:
    """Render the training scenes 0 to count - 1, or finish what an interrupted run has begun.

    Args:
        folder: Where the files lie; created if missing.
        count: Number of scenes, a multiple of `chunk`.
        size_px: Side of the network's input [px].
        workers: Number of processes.
        chunk: Scenes that one process renders at a time.

    Raises:
        ValueError: The count is not a multiple of the chunk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "done.npy").exists():
        _create_files(folder, count, size_px, chunk)
    done = np.load(folder / "done.npy")
    missing = [(folder, int(index)) for index in np.flatnonzero(~done)]
    if missing:
        with get_context("spawn").Pool(workers) as pool:
            for _ in tqdm(pool.imap_unordered(_render_chunk, missing), "scenes", len(missing), unit="chunk"):
                pass
    return open_scene_set(folder)


def open_scene_set(folder: Path) -> SceneSet:
    """Open rendered scenes.

    Raises:
        FileNotFoundError: There are none in the folder.
    """
    images, ids, boxes, labels = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "ids", "boxes", "labels")
    )
    return SceneSet(images, ids, boxes, labels)


def _create_files(folder: Path, count: int, size_px: int, chunk: int) -> None:
    if count % chunk:
        raise ValueError(f"the number of scenes has to be a multiple of {chunk}, got {count}")
    open_memmap(folder / "images.npy", "w+", np.uint8, (count, size_px, size_px, 3))
    open_memmap(folder / "ids.npy", "w+", np.uint8, (count, size_px, size_px))
    open_memmap(folder / "boxes.npy", "w+", np.float32, (count, MAX_OBJECTS, 4))
    open_memmap(folder / "labels.npy", "w+", np.int8, (count, MAX_OBJECTS, 2))
    np.save(folder / "done.npy", np.zeros(count // chunk, bool))


def _render_chunk(job: tuple[Path, int]) -> None:
    folder, chunk = job
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    names = ("images", "ids", "boxes", "labels", "done")
    images, ids, boxes, labels, done = (open_memmap(folder / f"{name}.npy", "r+") for name in names)
    size = len(images) // len(done)
    for index in range(chunk * size, (chunk + 1) * size):
        scene = render_scene(index, _RENDER_SIZE, _OPTIONS, TRAINING_STREAM)
        images[index], ids[index], boxes[index], labels[index] = pack_scene(scene, images.shape[1])
    done[chunk] = True


def pack_scene(
    scene: Scene, size_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32], NDArray[np.int8]]:
    """A scene as one row of a `SceneSet`, resized as the segmenter resizes camera images."""
    h, w = scene.ids.shape
    pixels = torch.from_numpy(scene.image).permute(2, 0, 1)[None]
    square = F.interpolate(pixels, size=(size_px, size_px), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    rank = np.zeros(256, np.uint8)
    boxes, labels = np.zeros((MAX_OBJECTS, 4), np.float32), np.full((MAX_OBJECTS, 2), -1, np.int8)
    for index, thing in enumerate(scene.objects[:MAX_OBJECTS]):
        rank[thing.track_id] = index + 1
        boxes[index] = np.array(thing.box_xyxy) / (w, h, w, h)
        labels[index] = COLOURS.index(thing.colour), SHAPES.index(thing.shape)
    ids = cv2.resize(rank[scene.ids], (size_px, size_px), interpolation=cv2.INTER_NEAREST_EXACT)
    return square.numpy(), np.asarray(ids), boxes, labels
