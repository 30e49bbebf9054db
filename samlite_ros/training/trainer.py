"""The training loop: fixed steps, resumable, logged."""

from __future__ import annotations

import copy
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from samlite_ros.training.batches import Batch, Batches
from samlite_ros.training.dataset import SceneSet
from samlite_ros.training.forward import TokenHeads, forward
from samlite_ros.training.losses import losses
from samlite_ros.training.monitor import monitor
from samlite_ros.training.network import build_network, build_tokenizer
from samlite_ros.training.optimizer import Optimizer
from samlite_ros.training.recipe import Recipe

_LOG_STEPS = 50
_MONITOR_STREAM = 1


class Trainer:
    """Trains one network; continues where an interrupted run with the same recipe saved its state.

    Args:
        recipe: All numbers.
        folder: Holds `checkpoint.pt` and `log.jsonl`; created if missing.
        scenes: The scenes to train on.
        monitored: Scenes that are only looked at.
        monitor_batches: Batches in one look.

    Raises:
        ValueError: The folder holds a run of another recipe.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, scenes: SceneSet, monitored: SceneSet, monitor_batches: int = 12
    ) -> None:
        self.recipe, self._folder = recipe, folder
        self.tokenizer = build_tokenizer()
        self.model = build_network(recipe.size, recipe.seed)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.heads = TokenHeads(recipe.size.hidden)
        self.optimizer = Optimizer(self.model, self.heads, recipe)
        self.step = 0
        self._batches = Batches(scenes, self.tokenizer, recipe)
        looked_at = Batches(monitored, self.tokenizer, recipe, stream=_MONITOR_STREAM)
        self._monitored = [looked_at[index] for index in range(monitor_batches)]
        self._sums: dict[str, float] = defaultdict(float)
        self._started = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint_path.exists():
            self._load()

    @property
    def checkpoint_path(self) -> Path:
        """Where the state is saved."""
        return self._folder / "checkpoint.pt"

    @property
    def log_path(self) -> Path:
        """One JSON object a line: losses, learning rate and seconds; measures where they were taken."""
        return self._folder / "log.jsonl"

    def run(self, until: int | None = None, save_every: int = 500, loader_workers: int = 1) -> None:
        """Train to the last step of the recipe.

        Args:
            until: Stop after this step instead; None = the recipe's last.
            save_every: Steps between two saved states, at each of which the network is measured too.
            loader_workers: Processes that make batches; 0 = this one.
        """
        last = self.recipe.steps if until is None else until
        self._started = time.monotonic()
        self.model.train()
        bar = tqdm(self._steps(last, loader_workers), "train", last, unit="step", initial=self.step, smoothing=0.05)
        for batch in bar:
            bar.set_postfix(loss=f"{self.train_step(batch):.2f}", refresh=False)
            if self.step % _LOG_STEPS == 0:
                self._log_losses()
            if self.step % save_every == 0 or self.step == last:
                self._log({"step": self.step, "measures": self.measure()})
                self.save()

    def _steps(self, last: int, workers: int) -> Iterator[Batch]:
        loader = DataLoader(
            self._batches,
            batch_size=None,
            sampler=range(self.step, last),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )
        return iter(loader)

    def train_step(self, batch: Batch) -> float:
        """One step of the optimiser; returns the loss."""
        recipe = self.recipe
        self.optimizer.set_rate(recipe.rate_at(self.step))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = forward(self.model, batch)
        factor, copies = recipe.box_factor_at(self.step), recipe.copies_at(self.step)
        parts = losses(self.model, self.heads, outputs, batch, recipe.weights, factor, copies)
        total = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad()
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.optimizer.parameters, recipe.clip)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        for name, value in (*parts.items(), ("total", total), ("gradient", norm)):
            self._sums[name] += float(value.detach())
        return float(total.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.averaging, (self.step + 1) / (self.step + 20))
        pairs = [(a, b) for a, b in zip(self.average.parameters(), self.model.parameters(), strict=True)]
        torch._foreach_lerp_([a for a, _ in pairs], [b.detach() for _, b in pairs], 1 - decay)
        for a, b in zip(self.average.buffers(), self.model.buffers(), strict=True):
            a.copy_(b)  # running statistics of the text encoder's normalisation are averages already

    def measure(self) -> dict[str, float]:
        """Measures of the averaged weights on the monitored scenes."""
        return monitor(self.average, self._monitored)

    def save(self) -> None:
        """Save the state, replacing the last one only when it is complete."""
        partial = self.checkpoint_path.with_suffix(".partial")
        torch.save({"step": self.step, "recipe": asdict(self.recipe), **self._states()}, partial)
        partial.replace(self.checkpoint_path)

    def _states(self) -> dict[str, Any]:
        parts = {"model": self.model, "average": self.average, "heads": self.heads, "optimizer": self.optimizer}
        return {name: part.state_dict() for name, part in parts.items()}

    def _load(self) -> None:
        state = torch.load(self.checkpoint_path, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(f"{self.checkpoint_path} belongs to another recipe: choose another folder or delete it")
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _log_losses(self) -> None:
        means = {name: round(value / _LOG_STEPS, 4) for name, value in self._sums.items()}
        self._sums.clear()
        rate = self.recipe.learning_rate * self.recipe.rate_at(self.step)
        seconds = round(time.monotonic() - self._started, 1)
        self._log({"step": self.step, "seconds": seconds, "learning_rate": rate, "losses": means})

    def _log(self, entry: dict[str, Any]) -> None:
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
