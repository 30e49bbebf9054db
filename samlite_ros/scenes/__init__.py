"""Rendered scenes with exact ground truth, for training, demos and tests. numpy and cv2 only."""

from samlite_ros.scenes.render import ObjectTruth, Scene, render_scene
from samlite_ros.scenes.sequence import KINDS, Sequence, SequenceOptions
from samlite_ros.scenes.vocabulary import COLOURS, HELD_OUT_PAIRS, SHAPES, matches

__all__ = [
    "COLOURS",
    "HELD_OUT_PAIRS",
    "KINDS",
    "SHAPES",
    "ObjectTruth",
    "Scene",
    "Sequence",
    "SequenceOptions",
    "matches",
    "render_scene",
]
