"""Train the demo checkpoint from scratch: what `samlite train-demo` does."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from samlite_ros.training.curve import draw_curve
from samlite_ros.training.dataset import build_scene_set
from samlite_ros.training.export import export
from samlite_ros.training.recipe import Recipe
from samlite_ros.training.trainer import Trainer

_MONITORED = 500
"""Scenes at the end of the set that are only looked at."""


def train_demo(folder: Path, recipe: Recipe, threads: int = 1, workers: int = 2) -> Path:
    """Render the scenes, train, and export; an interrupted call continues when it is repeated.

    Args:
        folder: Holds scenes, states and log, and at the end `model/` and `curve.png`.
        recipe: All numbers.
        threads: Threads of torch. One is the fastest when anything else runs on the machine.
        workers: Processes that render.

    Returns:
        The folder of the trained checkpoint.
    """
    torch.set_num_threads(threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # it warns of the unused box encoder's attention
    scenes = build_scene_set(folder / "scenes", recipe.scenes, recipe.size.image_px, workers)
    trained_on = recipe.scenes - _MONITORED
    trainer = Trainer(recipe, folder, scenes.part(0, trained_on), scenes.part(trained_on, recipe.scenes))
    trainer.run()
    export(trainer.average, trainer.tokenizer, folder / "model")
    draw_curve(trainer.log_path, folder / "curve.png")
    return folder / "model"
