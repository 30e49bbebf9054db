"""What the benchmark runs as the node, in a process of its own: `python -m samlite_ros.bench.node_process`.

The node as it is, around a network whose time is logged, or a busy network of a given latency that knows the truth; or
a node that answers every image at once, with nothing. Environment variables say which.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.streaming.busy_segmenter import BusySegmenter
from samlite_ros.bench.streaming.oracle import OracleSegmenter
from samlite_ros.bench.wrapped_segmenter import WrappedSegmenter
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.segmenter.contract import ImageEmbedding, PromptEmbedding, Segmenter
from samlite_ros.segmenter.load import load_segmenter
from samlite_ros.segmenter.options import SegmenterOptions
from samlite_ros.types import DecodeOptions, Frame, PromptResult
from samlite_ros.virtual.latency import LatencyProfile

LOG_VARIABLE = "SAMLITE_BENCH_LOG"
"""Names the log's path; a line has a frame's stamp [ns], and what the fields of `NetworkTime` say."""
SCRIPT_VARIABLE = "SAMLITE_BENCH_SCRIPT"
"""Names the file with what a busy network knows; see `write_script`."""
ECHO_VARIABLE = "SAMLITE_BENCH_ECHO"
"""Set where every image is answered at once."""


class NetworkTime(NamedTuple):
    """What the network took for one frame.

    Args:
        wall_s: Elapsed time [s].
        cpu_s: CPU time of the network's thread [s]; all of it, where torch has one thread.
        computed: Share of the image's tokens that were computed.

    Taken where the network computes: bringing it images and taking its masks is the node's share.
    """

    wall_s: float
    cpu_s: float
    computed: float = 1.0


class LoggedSegmenter(WrappedSegmenter):
    """A segmenter that logs how long the network took for each frame. See `samlite_ros.segmenter.contract.Segmenter`.

    Args:
        inner: Does the work.
        log: Takes the lines.
    """

    def __init__(self, inner: Segmenter, log: TextIO) -> None:
        super().__init__(inner)
        self._log = log
        self._embedding = NetworkTime(0.0, 0.0)

    def embed_image(self, frame: Frame, on_block: Callable[[], None] | None = None) -> ImageEmbedding:
        """As the inner segmenter."""
        start = _now()
        image = self._inner.embed_image(frame, on_block)
        self._embedding = _since(start)
        return image

    def segment(
        self,
        image: ImageEmbedding,
        prompts: PromptEmbedding,
        options: Sequence[DecodeOptions],
        on_step: Callable[[], None] | None = None,
    ) -> list[PromptResult]:
        """As the inner segmenter."""
        start = _now()
        results = self._inner.segment(image, prompts, options, on_step)
        decoding = _since(start)
        wall_s, cpu_s = self._embedding.wall_s + decoding.wall_s, self._embedding.cpu_s + decoding.cpu_s
        self._log.write(f"{image.stamp_ns} {wall_s} {cpu_s} {image.reuse.computed}\n")
        self._log.flush()
        return results


def _now() -> NetworkTime:
    return NetworkTime(time.perf_counter(), time.thread_time())


def _since(start: NetworkTime) -> NetworkTime:
    now = _now()
    return NetworkTime(now.wall_s - start.wall_s, now.cpu_s - start.cpu_s)


def read_log(path: Path) -> dict[int, NetworkTime]:
    """The network's time by the frame's stamp [ns]; a line that was cut off at the end is left out."""
    lines = (line.split() for line in path.read_text().split("\n")[:-1])
    return {int(stamp): NetworkTime(*map(float, values)) for stamp, *values in lines}


def write_script(path: Path, truth: Sequence[TruthFrame], profile: LatencyProfile) -> None:
    """Write down what a busy network is to know: the truth of each image, and how long it takes.

    Args:
        path: An .npz file.
        truth: All images that the camera shows.
        profile: How long the network takes.
    """
    keys = [image_key(t.frame.image) for t in truth]
    latency = [profile.encode_s, profile.decode_s, profile.blocks]
    np.savez(path, keys=keys, ids=np.stack([t.ids for t in truth]), latency=latency)


def read_script(path: Path) -> BusySegmenter:
    """The network that `write_script` described."""
    with np.load(path) as script:
        encode_s, decode_s, blocks = (float(v) for v in script["latency"])
        keys, ids = [int(k) for k in script["keys"]], script["ids"]
    profile = LatencyProfile(encode_s, decode_s, int(blocks))
    return BusySegmenter(ContentOracle(dict(zip(keys, ids, strict=True))), profile)


def image_key(image: NDArray[np.uint8]) -> int:
    """Names an image by its content; a sensor's noise makes every one different."""
    return zlib.crc32(np.ascontiguousarray(image[::8, ::8]).data)


class ContentOracle(OracleSegmenter):
    """The truth of images that are recognised by their content, whatever their stamp; nothing for any other image.

    Args:
        ids: By `image_key`, the thing seen at each pixel, uint8 (H, W).
    """

    def __init__(self, ids: dict[int, NDArray[np.uint8]]) -> None:
        super().__init__([])
        self._by_content = ids

    def _known(self, frame: Frame) -> NDArray[np.uint8] | None:
        return self._by_content.get(image_key(frame.image))


def echo() -> int:
    """Answer every image at once, with nothing, on the node's own topics: what the way to a node in Python and of an
    answer back takes, whatever the node does in between."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import CompressedImage, Image

    from samlite_ros.messages.topics import COMPRESSED_IMAGE, IMAGE
    from samlite_ros.msg import Segmentation
    from samlite_ros.node.ending import quiet_after_shutdown
    from samlite_ros.node.qos import profile_of
    from samlite_ros.pixels.host_memory import keep_freed_memory

    keep_freed_memory()
    signal.signal(signal.SIGINT, lambda *_: None)  # rclpy ends the spinning
    rclpy.init()
    node = rclpy.create_node("samlite")
    answers = node.create_publisher(Segmentation, "~/segmentation", 5)

    def answer(message: Any) -> None:
        answers.publish(Segmentation(header=message.header))

    node.create_subscription(Image, IMAGE.of(), answer, profile_of(IMAGE.qos))
    node.create_subscription(CompressedImage, COMPRESSED_IMAGE.of(), answer, profile_of(IMAGE.qos))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with quiet_after_shutdown():
        executor.spin()
    rclpy.try_shutdown()
    return 0


def main() -> int:
    """Run what the environment says until interrupted."""
    from samlite_ros.node.ending import leave
    from samlite_ros.node.main import main as run_node

    if ECHO_VARIABLE in os.environ:
        leave(echo())

    if SCRIPT_VARIABLE in os.environ:
        return run_node(segmenter_factory=lambda _: read_script(Path(os.environ[SCRIPT_VARIABLE])))
    with Path(os.environ[LOG_VARIABLE]).open("w") as log:
        return run_node(segmenter_factory=_logged(log))


def _logged(log: TextIO) -> Callable[[SegmenterOptions], Segmenter]:
    return lambda options: LoggedSegmenter(load_segmenter(options), log)


if __name__ == "__main__":
    sys.exit(main())
