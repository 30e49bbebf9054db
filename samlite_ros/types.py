"""The values that travel between the camera, the network, the tracker and the messages.

Plain, frozen, numpy only. Stamps are integer nanoseconds, boxes are pixels of the camera image, images are RGB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_STAMP = 0
"""Stamp that means "never", as in the messages."""


@dataclass(frozen=True, eq=False)
class DepthImage:
    """How far away things are, pixel by pixel.

    Args:
        depth: Distance along the optical axis: float32 (H, W) [m] or uint16 (H, W) [mm]. 0 and NaN = not measured.
        stamp_ns: Acquisition time [ns], from the message's header.
        frame_id: Optical frame in which it was measured, or into which it was registered.

    Raises:
        ValueError: The depth is of another type or shape, or has no pixels.
    """

    depth: NDArray[np.float32] | NDArray[np.uint16]
    stamp_ns: int
    frame_id: str = ""

    def __post_init__(self) -> None:
        if self.depth.dtype not in (np.float32, np.uint16) or self.depth.ndim != 2 or self.depth.size == 0:
            raise ValueError(f"depth must be float32 or uint16 (H, W), got {self.depth.dtype} {self.depth.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) [px]; that of the camera's images or another."""
        return self.depth.shape[0], self.depth.shape[1]


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """How a camera projects, as in sensor_msgs/CameraInfo.

    Args:
        camera_matrix: float64 (3, 3), K [px].
        distortion: float64 (N,), D.
        distortion_model: 'plumb_bob', 'rational_polynomial', 'equidistant' ...
        size: (H, W) of the calibrated image [px].
        stamp_ns: From the message's header [ns].
        frame_id: Optical frame.
        rectified_matrix: float64 (3, 3): that of the rectified image [px], the left part of P; None = not known.
    """

    camera_matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    distortion_model: str
    size: tuple[int, int]
    stamp_ns: int
    frame_id: str = ""
    rectified_matrix: NDArray[np.float64] | None = None

    def rectified(self) -> CameraCalibration:
        """Of the rectified image, which has no distortion."""
        matrix = self.camera_matrix if self.rectified_matrix is None else self.rectified_matrix
        return replace(self, camera_matrix=matrix, distortion=np.zeros(0))


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image, with what came beside it.

    Args:
        image: uint8 (H, W, 3), RGB. Not written to after construction.
        stamp_ns: Acquisition time [ns], from the message's header.
        frame_id: Optical frame, from the message's header.
        camera: Name of the camera; empty where there is only one.
        depth: The depth image of about the same time; None = none came in time.
        calibration: The camera's calibration; None = none came yet.

    Raises:
        ValueError: The image is not uint8 (H, W, 3) or has no pixels.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    frame_id: str = ""
    camera: str = ""
    depth: DepthImage | None = None
    calibration: CameraCalibration | None = None

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(f"a Frame needs a uint8 (H, W, 3) image, got {image.dtype} {image.shape}")

    def alone(self) -> Frame:
        """Without its companions."""
        return replace(self, depth=None, calibration=None)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) [px]."""
        return self.image.shape[0], self.image.shape[1]


class QueryKey(NamedTuple):
    """What names a standing query: ids are unique per client."""

    client: str
    id: str


@dataclass(frozen=True)
class Prompt:
    """What the network is asked to find. Equal prompts are one question, whoever asks.

    Only what makes a prompt (`queries`), what embeds it (a segmenter) and what writes it down (`messages`) look at its
    parts; everybody else compares it, hands it on, or uses `display` and `key`.

    Args:
        text: Normalised text (see `queries.prompt_of`): what the text encoder reads.
    """

    text: str

    @property
    def display(self) -> str:
        """Names it for people: in messages, tables, labels; truth knows it by this name."""
        return self.text

    @property
    def key(self) -> str:
        """Names it for machines, between runs too: no other prompt has the same."""
        return self.text


@dataclass(frozen=True)
class Query:
    """One accepted standing question; what TextQuery.msg asks, defaults filled in.

    Args:
        key: Client and id.
        prompt: What to find.
        class_id: 0 to 254; belongs to the prompt, so that two clients with one prompt share it.
        text: The text as the client wrote it, for display.
        score_threshold: Least score of an instance, 0 to 1.
        mask_threshold: Least probability of a pixel inside a mask, 0 to 1.
        max_instances: Most instances per frame; the best scores stay.
        max_rate_hz: At most so many searches a second [Hz]; 0 = every keyframe.
        priority: Higher is decoded first.
        cameras: Cameras to search; empty = all.
    """

    key: QueryKey
    prompt: Prompt
    class_id: int
    text: str = ""
    score_threshold: float = 0.5
    mask_threshold: float = 0.5
    max_instances: int = 100
    max_rate_hz: float = 0.0
    priority: int = 0
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """What is asked at one moment.

    Args:
        epoch: Grows with every change of the prompt to class id table.
        queries: The active queries: answers list these.
        pending: Accepted queries whose prompt is not embedded yet; the network may do so when it decodes it.
    """

    epoch: int = 0
    queries: tuple[Query, ...] = ()
    pending: tuple[Query, ...] = ()

    @property
    def asked(self) -> tuple[Query, ...]:
        """All queries."""
        return self.queries + self.pending


@dataclass(frozen=True)
class DecodeOptions:
    """What to keep of one prompt's decoding, and at which size.

    Args:
        score_threshold: Instances below it are dropped before their masks are up-sampled.
        max_instances: At most so many, best first.
        masks: False: scores and boxes alone, which cost less.
        cut_level: Least probability inside a mask, 1 to 255, where no other is asked for: pixels of masks may be 0 and
            255 then, which is less to bring from a device; 0 = probabilities are needed.
    """

    score_threshold: float = 0.5
    max_instances: int = 100
    masks: bool = True
    cut_level: int = 0


@dataclass(frozen=True, eq=False)
class Mask:
    """A soft mask, stored only where it matters: a window of the camera image.

    Args:
        x0, y0: Upper left corner of the window [px] in the image.
        probability: uint8 (h, w), 255 = certain; outside the window the probability is 0.
        size: (H, W) of the whole image [px].
        threshold: A pixel is inside where its probability is at least this, 1 to 255.
    """

    x0: int
    y0: int
    probability: NDArray[np.uint8]
    size: tuple[int, int]
    threshold: int = 128

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """bool (h, w): the window's pixels that are inside."""
        return self.probability >= self.threshold

    @cached_property
    def area(self) -> int:
        """Number of pixels inside."""
        return int(np.count_nonzero(self.inside))

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in an image: `image[mask.window]` is (h, w, ...)."""
        h, w = self.probability.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)

    def full(self) -> NDArray[np.bool_]:
        """bool (H, W): the mask in the whole image."""
        out = np.zeros(self.size, bool)
        out[self.window] = self.inside
        return out


@dataclass(frozen=True, eq=False)
class PromptResult:
    """What the network found for one prompt in one image, best score first.

    Args:
        prompt: The prompt.
        presence: Probability that the prompt is in the image at all, 0 to 1.
        scores: float32 (N,), descending.
        boxes_xyxy: float32 (N, 4) [px] of the camera image.
        masks: N masks, in the order of the scores; none where none were wanted.
        decode_s: What its decoding took, its share of what was decoded together [s].
    """

    prompt: Prompt
    presence: float
    scores: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    masks: tuple[Mask, ...]
    decode_s: float = 0.0


@dataclass(frozen=True)
class Turn:
    """How a query takes turns with others, where passes have a limit for decoding.

    Args:
        passes: Of so many passes over the camera in a row at least one searches for it; 1 = each does.
        wait_s: How long that is at the present pace [s].
        overload: What is asked more than can be done, in words; empty = nothing.
    """

    passes: int
    wait_s: float
    overload: str = ""


@dataclass(frozen=True)
class QueryMatch:
    """One instance answers one query."""

    query: Query
    score: float


@dataclass(frozen=True)
class QueryResult:
    """The outcome of one query on one answered frame, found or not.

    Args:
        query: The query.
        keyframe_stamp_ns: Stamp of the image it was last searched in [ns].
        presence: Probability that the prompt is there; NaN = not searched yet.
        count: Number of instances in this answer.
        turn: How it takes turns; None = each pass decodes all.
    """

    query: Query
    keyframe_stamp_ns: int
    presence: float
    count: int
    turn: Turn | None = None


@dataclass(frozen=True, eq=False)
class Instance:
    """One thing in one answered frame.

    Args:
        track_id: Stays with the thing over frames; 0 = not tracked.
        matches: The queries that it answers, at least one, best score first.
        confidence: 0 to 1; the score at the keyframe, falling with age and inconsistency.
        propagated: The mask was carried from an earlier image.
        keyframe_stamp_ns: Stamp of the image in which the network saw it [ns].
        box_xyxy: Bounds of the mask [px]; exclusive at the right and below.
        mask: The mask.
    """

    track_id: int
    matches: tuple[QueryMatch, ...]
    confidence: float
    propagated: bool
    keyframe_stamp_ns: int
    box_xyxy: tuple[float, float, float, float]
    mask: Mask


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The answer for one camera frame.

    Args:
        stamp_ns, frame_id, camera, size: Those of the answered frame.
        model_id: Names the weights.
        vocabulary_epoch: Grows with every change of the prompt to class id table.
        keyframe_stamp_ns: Newest knowledge in it [ns]; 0 = none yet.
        results: One per active query.
        instances: What was found, highest confidence first.
    """

    stamp_ns: int
    frame_id: str
    camera: str
    size: tuple[int, int]
    model_id: str
    vocabulary_epoch: int
    keyframe_stamp_ns: int
    results: tuple[QueryResult, ...]
    instances: tuple[Instance, ...]


@dataclass(frozen=True, eq=False)
class Place:
    """Where one thing is in space, by its mask and the depth image of the same moment.

    Args:
        stamp_ns: Of the camera image [ns].
        frame_id: Of all positions below: the camera's optical frame (x right, y down, z ahead), or the target frame.
        position_m: float64 (3,): the middle of its visible surface [m]; smoothed over time where it has a track.
        covariance_m2: float64 (3, 3): how sure `position_m` is [m^2].
        measured_m: float64 (3,): the middle of its visible surface in this image alone [m].
        measured_covariance_m2: float64 (3, 3): how sure `measured_m` is [m^2].
        spread_m: Standard deviation of its surface's depth, without outliers [m].
        support: Pixels of the mask that show it.
        share: Of the mask's pixels: those that show it, 0 to 1. What shines through, is dark or far is left out.
        box_center_m, box_size_m: float64 (3,): the box around its visible surface [m], its edges along the axes of
            `frame_id`.
        points_m: float32 (N, 3): points of its visible surface [m].
    """

    stamp_ns: int
    frame_id: str
    position_m: NDArray[np.float64]
    covariance_m2: NDArray[np.float64]
    measured_m: NDArray[np.float64]
    measured_covariance_m2: NDArray[np.float64]
    spread_m: float
    support: int
    share: float
    box_center_m: NDArray[np.float64]
    box_size_m: NDArray[np.float64]
    points_m: NDArray[np.float32]
