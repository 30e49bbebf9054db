"""Objects that were learnt from one painted keyframe, for the tests of carrying."""

import numpy as np

from samlite_ros.streaming.carry.tracks import PromptMatch, Track
from samlite_ros.streaming.image.geometry import identity
from samlite_ros.streaming.image.work_image import prepare
from samlite_ros.streaming.model.appearance import build_model
from samlite_ros.streaming.model.keyframe import KeyframeMask, PaddedKeyframe
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.types import Frame, Mask, Prompt

TUNING = Tuning()
RED, FLOOR = (200, 40, 40), (110, 115, 120)


def keyframe(boxes, size=(240, 320), colors=None, noise=3.0):
    """Rectangles (x0, y0, x1, y1) [work px] on a floor, later ones in front."""
    rng = np.random.default_rng(0)
    image = np.empty((*size, 3))
    image[:] = FLOOR
    masks = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        image[y0:y1, x0:x1] = (colors or [RED] * len(boxes))[number]
        masks.append(KeyframeMask(x0, y0, np.ones((2 * (y1 - y0), 2 * (x1 - x0)), bool)))
    noisy = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    return PaddedKeyframe(prepare(Frame(noisy, 1), TUNING), masks, TUNING.appearance)


def learn(frame, index, nested=frozenset()):
    return build_model(frame, index, nested, frame.background, TUNING)


BLUE = (40, 40, 200)


NO_MASK = Mask(0, 0, np.zeros((0, 0), np.uint8), (240, 320))


def track(model, track_id=1, pose=None, **settings):
    return Track(
        track_id=track_id,
        model=model,
        keyframe_ns=1,
        keyframe_mask=NO_MASK,
        matches=(PromptMatch(Prompt("object"), 0.9, 1),),
        tuning=TUNING.tracking,
        pose=identity() if pose is None else pose,
        velocity=np.zeros(2, np.float32),
        inliers=np.ones(96, bool),
        **settings,
    )


def image_of(boxes, colors=None):
    """The work image of some rectangles; see `keyframe`."""
    frame = keyframe(boxes, colors=colors)
    return prepare(Frame(frame.color[56:-56, 56:-56], 2), TUNING)
