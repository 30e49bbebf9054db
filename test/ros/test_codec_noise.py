"""What codecs write by themselves stays out of the log; what others write meanwhile does not."""

import subprocess
import sys

import cv2
import numpy as np
from graph import OUTPUTS, RELIABLE, graph
from sensor_msgs.msg import CompressedImage

from samlite_ros.messages.fill import RCLPY, time_message

PICTURE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8), (0, 0), 3)
CUT = cv2.imencode(".jpg", PICTURE)[1].tobytes()[:-300].rstrip(b"\xff") + b"\xff\xd9"
DECODE_TWICE = """
import os, sys, threading
import cv2, numpy as np
from samlite_ros.node.codec_noise import CODEC_NOISE
data = np.frombuffer(bytes.fromhex(sys.argv[1]), np.uint8)
def work(count):
    for _ in range(count):
        with CODEC_NOISE.silenced():
            cv2.imdecode(data, 1)
            os.write(2, b"mine\\n")
threads = [threading.Thread(target=work, args=(500,)) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
os.write(2, b"behind\\n")
if len(sys.argv) > 2:
    cv2.imdecode(data, 1)
"""


def written(*arguments):
    command = [sys.executable, "-c", DECODE_TWICE, CUT.hex(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_codecs_are_silent_and_nothing_of_others_is_lost():
    lines = written()
    assert sorted(set(lines)) == ["behind", "mine"]
    assert lines.count("mine") == 1500


def test_without_it_the_codec_writes():
    assert any("JPEG" in line for line in written("aloud"))


def test_damaged_images_at_camera_rate_leave_few_lines_in_the_log():
    with graph(parameters={"image_transport": "compressed", "queries": ["red thing"]}) as (client, node):
        client.listen("/samlite/segmentation", *OUTPUTS["segmentation"])
        publisher = client.publisher("/image/compressed", CompressedImage, RELIABLE)

        def send():
            message = CompressedImage(format="jpeg", data=CUT)
            message.header.stamp = time_message(RCLPY, client.next_stamp())
            publisher.publish(message)

        client.act_until(send, client.diagnostic("camera", lambda _, v: int(v["images rejected"]) > 10), "rejections")
        log = node.log()
    assert "cut off" in log
    assert "Corrupt JPEG" not in log and "Premature" not in log
