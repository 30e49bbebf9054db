"""Images to RGB, and masks to messages: ours beside the ways that wrappers use, without the network."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from samlite_ros.bench.figures import Figure, figure
from samlite_ros.bench.options import BenchOptions
from samlite_ros.bench.timing import interleave
from samlite_ros.bench.workload import camera_frame, phrases
from samlite_ros.messages.fill import RCLPY, image_message
from samlite_ros.messages.outputs import CAMERA_OUTPUTS, AnsweredFrame, Kind
from samlite_ros.pixels.decode import decode_compressed_image, decode_image
from samlite_ros.segmenter.pytorch.resample import resample
from samlite_ros.segmenter.upsample import upsample_mask
from samlite_ros.streaming.answer import answer_keyframe
from samlite_ros.types import Frame, Prompt, PromptResult, Query, QueryKey, Vocabulary

INSTANCES = 8
CELLS = 288
"""Side of the full-size network's masks at 1008 px."""
_ROUNDS = 21

Call = Callable[[], object]


def run(options: BenchOptions, on_step: Callable[[str], object]) -> list[Figure]:
    """Measure every image size of the options."""
    figures: list[Figure] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads or 1)  # as in the node with a small network; the same for both sides
    for size in options.sizes:
        name = f"{size[0]}x{size[1]}"
        on_step(f"conversion and messages, {name}")
        for row, sides in (*conversions(size).items(), *fillings(size).items()):
            figures += _figures("conversion", f"{row}, {name}", sides, options.rounds or _ROUNDS)
        figures += _figures("messages", f"{INSTANCES} instances, {name}", answers(size), options.rounds or _ROUNDS)
    torch.set_num_threads(threads)
    return figures


def _figures(table: str, row: str, sides: dict[str, Call], rounds: int) -> list[Figure]:
    """Milliseconds of each side, and ours as a share of the peers', by elapsed time and by CPU time."""
    for call in sides.values():
        call()
    samples = interleave(sides, rounds)
    name = f"{table}/{row}"
    pairs = list(zip(samples["ours"], samples["peers"], strict=True))
    return [
        *(figure(f"{name}/{side}", "ms", [1e3 * s.wall_s for s in samples[side]]) for side in sides),
        figure(f"{name}/ours of peers", "times", [ours.wall_s / peers.wall_s for ours, peers in pairs]),
        figure(f"{name}/by CPU time", "times", [ours.cpu_s / peers.cpu_s for ours, peers in pairs]),
    ]


def conversions(size: tuple[int, int]) -> dict[str, dict[str, Call]]:
    """Camera messages to RGB.

    Args:
        size: (width, height) [px].
    """
    frame = camera_frame(*size)
    blue_first = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
    message = image_message(RCLPY, blue_first, "bgr8", 1, "camera")
    _, encoded = cv2.imencode(".jpg", blue_first)
    jpeg = array("B", encoded.tobytes())
    return {
        "bgr8 to RGB": {
            "ours": lambda: decode_image(message.data, "bgr8", message.height, message.width, message.step, False),
            "peers": lambda: cv2.cvtColor(_cv_bridge_view(message), cv2.COLOR_BGR2RGB),
        },
        "JPEG to RGB": {
            "ours": lambda: decode_compressed_image(jpeg, "jpeg"),
            "peers": lambda: _imdecode_to_rgb(jpeg),
        },
    }


def fillings(size: tuple[int, int]) -> dict[str, dict[str, Call]]:
    """An RGB image into the field of a message: ours, as cv_bridge does it, and as an assignment of bytes.

    Args:
        size: (width, height) [px].
    """
    image = camera_frame(*size).image
    return {
        "RGB to message": {
            "ours": lambda: image_message(RCLPY, image, "rgb8", 1, "camera"),
            "peers": lambda: cv_bridge_message(image, "rgb8", Header()),
            "byte-wise": lambda: _bytewise_message(image, "rgb8", Header()),
        }
    }


def answers(size: tuple[int, int]) -> dict[str, Call]:
    """From the network's low-resolution masks to filled messages.

    Ours fills Segmentation, Detection2DArray, label image, confidence and instance image: all that the node has. The
    peers' fills a mono8 image per instance and Detection2DArray.

    Args:
        size: (width, height) [px].
    """
    logits = mask_logits()
    frame = Frame(np.zeros((size[1], size[0], 3), np.uint8), stamp_ns=1)
    return {
        "ours": lambda: our_messages(logits, frame),
        "peers": lambda: peer_messages(logits, frame, cv_bridge_message),
        "byte-wise": lambda: peer_messages(logits, frame, _bytewise_message),
    }


def mask_logits(cells: int = CELLS) -> torch.Tensor:
    """float32 (8, cells, cells): soft ellipses, 3 to 15 % of the image's width in radius, as a network gives them."""
    y, x = np.mgrid[:cells, :cells] / cells
    out = []
    for number in range(INSTANCES):
        radius = 0.03 + 0.12 * number / (INSTANCES - 1)
        centre_x, centre_y = 0.2 + 0.2 * (number % 4), 0.3 + 0.4 * (number // 4)
        distance = np.hypot((x - centre_x) / radius, (y - centre_y) / (1.3 * radius))
        out.append(10 * (1 - distance))
    return torch.from_numpy(np.stack(out).astype(np.float32)).clamp_(-12, 12)


def our_messages(logits: torch.Tensor, frame: Frame) -> list[Any]:
    """All that the node publishes for one answer but the overlay."""
    names = phrases(len(logits))
    queries = tuple(Query(QueryKey("bench", name), Prompt(name), class_id) for class_id, name in enumerate(names))
    score, box = np.ones(1, np.float32), np.zeros((1, 4), np.float32)
    results = [
        PromptResult(Prompt(name), 1.0, score, box, (upsample_mask(mask.numpy(), frame.size, resample),))
        for name, mask in zip(names, logits, strict=True)
    ]
    answer = answer_keyframe(frame, results, "bench", Vocabulary(1, queries), {})
    answered = AnsweredFrame(answer, frame)
    return [
        output.fill(RCLPY, answered)
        for output in CAMERA_OUTPUTS
        if output.kind is not Kind.PICTURE and not output.per_epoch and not output.spatial
    ]


def peer_messages(
    logits: torch.Tensor, frame: Frame, to_image: Callable[[NDArray[np.uint8], str, Header], Image]
) -> list[Any]:
    """A detection and a mono8 image for each instance, as wrappers publish them.

    Args:
        logits: (N, h, w).
        frame: The camera's image.
        to_image: Makes the image messages.
    """
    full = F.interpolate(logits.sigmoid()[None], size=frame.size, mode="bilinear", align_corners=False)[0]
    masks = (full > 0.5).numpy()
    header = Header(frame_id=frame.frame_id)
    detections = Detection2DArray(header=header)
    images = []
    for name, mask in zip(phrases(len(masks)), masks, strict=True):
        images.append(to_image(mask.astype(np.uint8) * 255, "mono8", header))
        detections.detections.append(_detection(name, mask, header))
    return [detections, *images]


def _detection(name: str, mask: NDArray[np.bool_], header: Header) -> Detection2D:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    detection = Detection2D(header=header)
    detection.bbox.center.position.x = x + width / 2
    detection.bbox.center.position.y = y + height / 2
    detection.bbox.size_x, detection.bbox.size_y = float(width), float(height)
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, 1.0
    detection.results.append(hypothesis)
    return detection


def cv_bridge_message(image: NDArray[np.uint8], encoding: str, header: Header) -> Image:
    """As cv_bridge's cv2_to_imgmsg: a copy to bytes, and one into the field.

    Source: vision_opencv, cv_bridge/python/cv_bridge/core.py (Jazzy).
    """
    message = Image(header=header, height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.data.frombytes(image.tobytes())
    message.step = len(message.data) // message.height
    return message


def _bytewise_message(image: NDArray[np.uint8], encoding: str, header: Header) -> Image:
    """As much code does it: bytes assigned to the field, which rclpy converts value by value."""
    message = Image(header=header, height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.data = image.tobytes()
    message.step = image.strides[0]
    return message


def _imdecode_to_rgb(jpeg: array[int]) -> NDArray[Any]:
    return cv2.cvtColor(np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)


def _cv_bridge_view(message: Image) -> NDArray[np.uint8]:
    """As cv_bridge's imgmsg_to_cv2 in passthrough: a view of the message's data."""
    return np.ndarray((message.height, message.width, 3), np.uint8, buffer=message.data)
