"""Trains the refiner: `samlite train-refiner FOLDER`; resumes where it stopped."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from samlite_ros.streaming.carry.refiner import OnnxRefiner
from samlite_ros.training.refiner import prepare
from samlite_ros.training.refiner.batches import DISTANCE_ROWS, CropTable, shown
from samlite_ros.training.refiner.clips import read_clips
from samlite_ros.training.refiner.crops import SHAPES
from samlite_ros.training.refiner.export import export
from samlite_ros.training.refiner.network import RefinerNet
from samlite_ros.training.refiner.prepare import Say

SHARES = {"real": 0.45, "mixed": 0.25, "photos": 0.2, "rendered": 0.1}
"""Share of each source in a batch."""
DISTANCE_UNIT = 8.0
AVERAGE_DECAY = 0.998


@dataclass(frozen=True)
class Recipe:
    """How it is trained.

    Args:
        steps: Steps.
        batch: Crops a step.
        rate: Greatest learning rate.
        seed: Of everything random.
        save_every_s: Seconds between two checkpoints.
    """

    steps: int = 8000
    batch: int = 16
    rate: float = 1.6e-3
    seed: int = 0
    save_every_s: float = 60.0


@dataclass(frozen=True)
class Plan:
    """How much is trained.

    Args:
        fold_steps: Steps of each fold's network.
        steps: Steps of the last network.
        share: Share of the usual number of crops that is made.
    """

    fold_steps: int = 2200
    steps: int = 8000
    share: float = 1.0


class Data:
    """Crops of all sources, drawn by SHARES; within real ones each sequence weighs the same.

    Args:
        paths: Folders of crops, named by their sources.
        without: Sequences of which nothing is shown.
    """

    def __init__(self, paths: list[Path], without: frozenset[str] = frozenset()) -> None:
        self.tables: dict[str, CropTable] = {}
        self.rows: dict[str, NDArray[np.intp]] = {}
        self._weights: dict[str, NDArray[np.float64]] = {}
        for path in paths:
            table = prepare.read(path)
            kept = np.array([i for i, s in enumerate(table.sources) if not without & set(str(s).split("@"))], np.intp)
            if not len(kept):
                continue
            _, inverse, counts = np.unique(table.sources[kept], return_inverse=True, return_counts=True)
            weight = 1.0 / counts[inverse] if path.name in ("real", "mixed") else np.ones(len(kept))
            self.tables[path.name], self.rows[path.name] = table, kept
            self._weights[path.name] = np.cumsum(weight / weight.sum())
        share = np.array([SHARES[name] for name in self.tables])
        self._names, self._share = list(self.tables), share / share.sum()

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Planes (B, PLANES, N, N), and truth and validity (B, 2, N, N)."""
        parts = []
        for index in rng.choice(len(self._names), size, p=self._share):
            name = self._names[index]
            at = min(int(np.searchsorted(self._weights[name], rng.random())), len(self.rows[name]) - 1)
            parts.append(shown(rng, self.tables[name], int(self.rows[name][at])))
        return torch.from_numpy(np.stack([p[0] for p in parts])), torch.from_numpy(np.stack([p[1] for p in parts]))


def logits_of(planes: Tensor, delta: Tensor) -> Tensor:
    """Log-odds (B, N, N) of the refined shape."""
    return planes[:, DISTANCE_ROWS[0]] * (DISTANCE_UNIT * SHAPES.base_logit) + delta[:, 0].float()


def loss_of(planes: Tensor, truth: Tensor, delta: Tensor) -> Tensor:
    """Cross-entropy and soft overlap."""
    logit = logits_of(planes, delta)
    inside, valid = truth[:, 0], truth[:, 1]
    entropy = (F.binary_cross_entropy_with_logits(logit, inside, reduction="none") * valid).mean()
    soft = torch.sigmoid(logit * 2) * valid
    union = torch.maximum(soft, inside * valid).sum((1, 2)).clamp(min=1)
    overlap = torch.minimum(soft, inside).sum((1, 2)) / union
    return entropy + (1 - overlap).mean()


def overlaps(net: RefinerNet, table: CropTable, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Overlap of the carried and of the refined shape with the truth, (rows, 2)."""
    found = []
    net.eval()
    with torch.no_grad():
        for start in range(0, len(rows), 32):
            parts = [shown(None, table, int(r)) for r in rows[start : start + 32]]
            planes, truth = (torch.from_numpy(np.stack([p[i] for p in parts])) for i in (0, 1))
            inside, valid = truth[:, 0] > 0.5, truth[:, 1] > 0.5
            for mask in (planes[:, DISTANCE_ROWS[0]] > 0, logits_of(planes, net(planes)) > 0):
                joint = (mask & inside & valid).sum((1, 2))
                found.append((joint / ((mask | inside) & valid).sum((1, 2)).clamp(min=1)).numpy())
    net.train()
    carried, refined = np.concatenate(found[0::2]), np.concatenate(found[1::2])
    return np.stack([carried, refined], 1)


class Trainer:
    """State of one training, stored as it goes."""

    def __init__(self, folder: Path, recipe: Recipe, data: Data, say: Say) -> None:
        self._folder, self._recipe, self._data, self._say = folder, recipe, data, say
        torch.manual_seed(recipe.seed)
        self.net = RefinerNet()
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        self._average = {k: v.clone() for k, v in self.net.state_dict().items()}
        self._optimizer = torch.optim.AdamW(self.net.parameters(), lr=recipe.rate, weight_decay=1e-2)
        self._step = 0
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self._folder / "checkpoint.pt"

    def _resume(self) -> None:
        stored = torch.load(self._checkpoint, weights_only=True)
        self.net.load_state_dict(stored["net"])
        self._optimizer.load_state_dict(stored["optimizer"])
        self._average, self._step = stored["average"], stored["step"]

    def _save(self) -> None:
        part = self._checkpoint.with_suffix(".part")
        state = {"net": self.net.state_dict(), "optimizer": self._optimizer.state_dict()}
        torch.save({**state, "average": self._average, "step": self._step}, part)
        part.rename(self._checkpoint)

    def run(self) -> RefinerNet:
        """Train to the end; returns the averaged network."""
        recipe, said_s, losses = self._recipe, time.monotonic(), []
        while self._step < recipe.steps:
            losses.append(self._one())
            if time.monotonic() - said_s > recipe.save_every_s:
                said_s = time.monotonic()
                self._say(f"step {self._step} of {recipe.steps}: loss {np.mean(losses[-300:]):.4f}")
                self._save()
        self._save()
        out = RefinerNet()
        out.load_state_dict(self._average)
        return out.eval()

    def _one(self) -> float:
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, self._step])
        share = self._step / recipe.steps
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.rate * min(1, (self._step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        planes, truth = self._data.batch(rng, recipe.batch)
        planes = planes.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            delta = self.net(planes)
        loss = loss_of(planes, truth, delta)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self._optimizer.step()
        self._step += 1
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the network."""
        decay = min(AVERAGE_DECAY, 1 - 1 / (self._step + 1))
        for name, value in self.net.state_dict().items():
            if value.dtype.is_floating_point:
                self._average[name].lerp_(value, 1 - decay)
            else:
                self._average[name].copy_(value)


def folds_of(text: str, names: list[str]) -> dict[str, frozenset[str]]:
    """Sequences by fold: from "a,b;c,d", or four folds (fewer, where sequences are few) dealt out in turn.

    Raises:
        ValueError: Fewer than two sequences, or one is named that is not there.
    """
    if len(names) < 2:
        raise ValueError(f"{len(names)} sequences with masks found, expected at least 2")
    groups = [g.split(",") for g in text.split(";")] if text else [names[i::4] for i in range(min(4, len(names)))]
    unknown = sorted({n for g in groups for n in g} - set(names))
    if unknown:
        raise ValueError(f"no sequence {', '.join(unknown)}: expected some of {', '.join(names)}")
    return {f"fold{i}": frozenset(g) for i, g in enumerate(groups)}


def linker(folder: Path, folds: dict[str, frozenset[str]]) -> prepare.Links:
    """Refiners that have not seen the sequence whose links they make."""
    refiners = {name: OnnxRefiner(folder / name / "refiner.onnx") for name in folds}
    first = next(iter(refiners.values()))
    return lambda sequence: next((refiners[f] for f, kept in folds.items() if sequence in kept), first)


def train(out: Path, paths: list[Path], recipe: Recipe, without: frozenset[str], say: Say) -> None:
    """One network, unless it is there already."""
    if (out / "refiner.onnx").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    data = Data(paths, without)
    export(Trainer(out, recipe, data, say).run(), out / "refiner.onnx")
    net = RefinerNet()
    net.load_state_dict(torch.load(out / "checkpoint.pt", weights_only=True)["average"])
    for name, table in data.tables.items():
        rows = np.random.default_rng(1).permutation(data.rows[name])[:200]
        carried, refined = overlaps(net, table, rows).mean(0)
        say(f"{out.name}, {name}: overlap carried {carried:.4f}, refined {refined:.4f}")


def train_refiner(data: Path, folder: Path, folds: str, plan: Plan, say: Say) -> Path:
    """The whole recipe; what is in the folder already is not made again.

    Args:
        data: Real sequences with masks, as DAVIS lays them out.
        folder: Of crops, checkpoints and weights.
        folds: Names of sequences that are of a kind, "a,b;c,d"; "" deals them out.
        plan: How much.
        say: Called with a line now and then.

    Returns:
        The weights (ONNX).

    Raises:
        ValueError: No sequences there, fewer than two, or a fold names one that is not there.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    kinds = folds_of(folds, [c.name for c in read_clips(data)])
    amounts = prepare.Amounts().scaled(plan.share)
    spoilt = prepare.prepare(folder / "crops0", data, replace(amounts, real_passes=1), lambda _: None, 0, say)
    for name, kept in kinds.items():
        train(folder / name, spoilt, Recipe(steps=plan.fold_steps), kept, say)
    chained = prepare.prepare(folder / "crops1", data, amounts, linker(folder, kinds), 1, say)
    train(folder / "final", chained, Recipe(steps=plan.steps), frozenset(), say)
    return folder / "final" / "refiner.onnx"
