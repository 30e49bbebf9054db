"""Depth and calibration over a real graph: positions come, and whatever is wrong with them is said."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from graph import OUTPUTS, RELIABLE, graph, scene, stamp_of
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from samlite_ros.messages.fill import RCLPY, header_message, image_message
from samlite_ros.messages.fill_places import POINT
from samlite_ros.msg import PlaceArray
from samlite_ros.node.facts import OK, WARN

SIZE = (48, 64)
FOCAL_PX = 60.0
RED = (slice(10, 22), slice(4, 16))
NEAR_M, FAR_M = 0.8, 2.0
PLACE_M = ((9.5 - 31.5) / FOCAL_PX * NEAR_M, (15.5 - 23.5) / FOCAL_PX * NEAR_M, NEAR_M)
KEYFRAMES = {"propagate": False, "queries": ["red thing"], "found_after": 1}
TF_STANDIN = str(Path(__file__).resolve().parents[1] / "fakes/tf2_standin")
PATH_WITH_TF = os.pathsep.join(filter(None, [TF_STANDIN, os.environ.get("PYTHONPATH")]))


def depth_of_scene() -> np.ndarray:
    depth = np.full(SIZE, FAR_M, np.float32)
    depth[RED] = NEAR_M
    return depth


def depth_message(stamp_ns: int, depth: np.ndarray, encoding: str, frame_id: str = "optical"):
    return image_message(RCLPY, np.ascontiguousarray(depth), encoding, stamp_ns, frame_id)


def info_message(stamp_ns: int, focal_px: float = FOCAL_PX) -> CameraInfo:
    k = [focal_px, 0.0, 31.5, 0.0, focal_px, 23.5, 0.0, 0.0, 1.0 if focal_px else 0.0]
    header = header_message(RCLPY, stamp_ns, "optical")
    return CameraInfo(header=header, height=SIZE[0], width=SIZE[1], distortion_model="plumb_bob", d=[0.0] * 5, k=k)


class DepthCamera:
    """Sends image, depth and calibration of one camera; what is sent may be changed."""

    def __init__(self, client, camera: str = "", depth_topic: str = "depth"):
        stem = f"/{camera}/" if camera else "/"
        self.client, self.topic = client, f"{stem}image"
        self.depths = client.node.create_publisher(Image, stem + depth_topic, RELIABLE)
        self.infos = client.node.create_publisher(CameraInfo, f"{stem}camera_info", RELIABLE)
        self.images = client.node.create_publisher(Image, self.topic, RELIABLE)
        self.depth = lambda stamp_ns: depth_message(stamp_ns, depth_of_scene(), "32FC1")
        self.focal_px, self.order, self.due_s = FOCAL_PX, ("depth", "image"), 0.0

    def send(self) -> None:
        stamp_ns = self.client.next_stamp()
        sends = {
            "depth": lambda: self.depth and self.depths.publish(self.depth(stamp_ns)),
            "image": lambda: self.images.publish(image_message(RCLPY, scene("red"), "rgb8", stamp_ns, "optical")),
        }
        self.infos.publish(info_message(stamp_ns, self.focal_px))
        for number, what in enumerate(self.order):
            if number:
                self.client.executor.spin_once(timeout_sec=0.01)
            sends[what]()

    def until(self, condition, what: str, timeout_s: float = 20.0):
        def send_and_look():
            if time.monotonic() >= self.due_s:
                self.send()
                self.due_s = time.monotonic() + 1 / 15
            self.client.executor.spin_once(timeout_sec=0.005)
            return condition()

        return self.client.wait_for(send_and_look, what, timeout_s)

    def until_told(self, holds, name: str = "positions"):
        return self.until(self.client.diagnostic(name, holds), f"diagnostic of {name}")


@pytest.fixture(scope="module")
def located():
    """A node with one camera, and somebody who listens to detections in space."""
    with graph(parameters=KEYFRAMES) as (client, _):
        found = client.listen("/samlite/detections_3d", Detection3DArray, RELIABLE)
        yield client, found


@pytest.fixture
def camera(located):
    """As it should be, again."""
    client, _ = located
    made = client.__dict__.setdefault("depth_camera", None) or DepthCamera(client)
    client.depth_camera = made
    made.depth = lambda stamp_ns: depth_message(stamp_ns, depth_of_scene(), "32FC1")
    made.focal_px, made.order = FOCAL_PX, ("depth", "image")
    return made


def position(message) -> tuple[float, float, float]:
    point = message.detections[0].results[0].pose.pose.position
    return point.x, point.y, point.z


def comes_anew(camera, found, **options):
    """Positions come now."""
    found.clear()
    return camera.until(lambda: found and found[-1].detections and found[-1], "detections", **options)


def test_matched_depth_gives_positions_boxes_and_covariance(located, camera) -> None:
    message = comes_anew(camera, located[1])
    assert message.header.frame_id == "optical"
    assert position(message) == pytest.approx(PLACE_M, abs=0.02)
    (detection,) = message.detections
    assert detection.results[0].hypothesis.class_id == "red thing"
    assert detection.bbox.size.x == pytest.approx(12 / FOCAL_PX * NEAR_M, rel=0.2)
    assert 0 < detection.results[0].pose.covariance[14] < 0.01
    status = camera.until_told(lambda status, values: status.level == OK and int(values["answers located"]) > 0)
    assert status.message == "from /depth"


def test_places_tell_how_sure_they_are(located, camera) -> None:
    client, _ = located
    found = client.listen("/samlite/places", PlaceArray, RELIABLE)
    place = camera.until(lambda: found and found[-1].places and found[-1].places[0], "places")
    client.stop_listening("/samlite/places")
    assert (place.position.x, place.position.y, place.position.z) == pytest.approx(PLACE_M, abs=0.02)
    assert place.matches[0].text == "red thing" and place.instance == 1
    assert place.support == pytest.approx(144, abs=20) and place.share > 0.85
    assert 0 <= place.spread < 0.01 and 0 < place.covariance[0] < 0.01


def test_a_query_remembers_its_place_when_it_has_left(located, camera) -> None:
    comes_anew(camera, located[1])
    status = camera.until(
        lambda: (s := located[0].statuses.get(("parameters", "red thing"))) and s.last_place.header.stamp.sec and s,
        "last place",
    )
    assert status.last_place.header.frame_id == "optical"
    assert status.last_place.point.z == pytest.approx(NEAR_M, abs=0.02)
    assert 0 < status.last_place_sigma < 0.1
    planner = located[0].planner("planner")
    planner.ask("red thing")
    camera.until(lambda: planner.outcome("red thing").last_place, "last place of the planner's own query")
    assert planner.outcome("red thing").last_place.point.z == pytest.approx(NEAR_M, abs=0.02)
    planner.withdraw("red thing")
    assert stamp_of(status.last_place.header.stamp) > 0


def test_depth_that_comes_after_its_image_is_waited_for(located, camera) -> None:
    camera.order = ("image", "depth")
    assert position(comes_anew(camera, located[1])) == pytest.approx(PLACE_M, abs=0.02)
    camera.until_told(lambda _, values: int(values["depth images that came late"]) > 0)


def test_millimetres_of_another_size(located, camera) -> None:
    half = (depth_of_scene()[::2, ::2] * 1000).astype(np.uint16)
    camera.depth = lambda stamp_ns: depth_message(stamp_ns, half, "16UC1")
    assert position(comes_anew(camera, located[1])) == pytest.approx(PLACE_M, abs=0.02)


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (lambda s: depth_message(s, depth_of_scene(), "32FC1", "infra"), "registered to the image"),
        (lambda s: depth_message(s, depth_of_scene()[:, :40], "32FC1"), "another view"),
    ],
    ids=["of another frame", "of another view"],
)
def test_depth_that_does_not_belong_is_refused_in_words(located, camera, depth, words) -> None:
    comes_anew(camera, located[1])
    camera.depth = depth
    status = camera.until_told(lambda status, _: status.level == WARN and words in status.message)
    located[1].clear()
    camera.until_told(lambda *_: True)
    assert not located[1], status.message


def test_an_unknown_encoding_is_counted_and_named(located, camera) -> None:
    grey = np.zeros(SIZE, np.uint8)
    camera.depth = lambda stamp_ns: depth_message(stamp_ns, grey, "mono8")
    camera.until_told(lambda status, _: status.level == WARN and "rejected" in status.message)
    camera.until_told(lambda _, values: "mono8" in values["last rejection"] and "s ago" in values["last rejection"])


def test_depth_full_of_nan_gives_no_place_and_breaks_nothing(located, camera) -> None:
    nothing = np.full(SIZE, np.nan, np.float32)
    camera.depth = lambda stamp_ns: depth_message(stamp_ns, nothing, "32FC1")
    located[1].clear()
    camera.until(lambda: located[1] and not located[1][-1].detections, "empty detections")
    camera.until_told(lambda _, values: int(values["things without enough depth"]) > 0)
    camera.until_told(lambda status, _: status.level == WARN and "measures nothing" in status.message)
    camera.depth = lambda stamp_ns: depth_message(stamp_ns, depth_of_scene(), "32FC1")
    comes_anew(camera, located[1])


def test_stamps_that_drift_apart_are_counted(located, camera) -> None:
    camera.depth = lambda stamp_ns: depth_message(stamp_ns + 8_000_000, depth_of_scene(), "32FC1")
    comes_anew(camera, located[1])
    camera.until_told(lambda _, values: float(values["stamps apart [ms]"]) == 8.0)
    camera.depth = lambda stamp_ns: depth_message(stamp_ns + 10**10, depth_of_scene(), "32FC1")
    before = int(camera.until_told(lambda *_: True).values[5].value)
    camera.until_told(lambda _, values: int(values["images without depth"]) > before)
    camera.until_told(lambda status, _: status.level == WARN and "stamps 10.0 s apart" in status.message)
    camera.until_told(lambda _, values: float(values["stamps apart [ms]"]) == pytest.approx(10_000, abs=200))


def test_a_depth_camera_that_dies_leaves_masks_and_says_so(located, camera) -> None:
    client, found = located
    comes_anew(camera, found)
    camera.depth = None
    camera.until_told(lambda status, _: status.level == WARN and "masks go on" in status.message)
    masks = client.listen("/samlite/segmentation", *OUTPUTS["segmentation"])
    camera.until(lambda: masks and masks[-1].instances, "masks")
    client.stop_listening("/samlite/segmentation")
    camera.depth = lambda stamp_ns: depth_message(stamp_ns, depth_of_scene(), "32FC1")
    comes_anew(camera, found)


def test_markers_and_points(located, camera) -> None:
    client, _ = located
    markers = client.listen("/samlite/markers", MarkerArray, RELIABLE)
    clouds = client.listen("/samlite/points", PointCloud2, RELIABLE)
    camera.until(
        lambda: markers and len(markers[-1].markers) == 3 and clouds and clouds[-1].width, "markers and points"
    )
    delete, box, name = markers[-1].markers
    assert (delete.action, box.type, name.type) == (delete.DELETEALL, box.CUBE, name.TEXT_VIEW_FACING)
    assert name.text.startswith("red thing 0.8")
    points = np.frombuffer(clouds[-1].data, POINT)
    assert points["z"] == pytest.approx(np.full(len(points), NEAR_M), abs=0.01)
    assert set(points["instance"]) == {1}
    client.stop_listening("/samlite/markers")
    client.stop_listening("/samlite/points")


@pytest.mark.acceptance
def test_a_camera_that_is_not_calibrated_is_named() -> None:
    with graph(parameters=KEYFRAMES) as (client, _):
        client.listen("/samlite/detections_3d", Detection3DArray, RELIABLE)
        camera = DepthCamera(client)
        camera.focal_px = 0.0
        camera.until_told(lambda status, _: status.level == WARN and "not calibrated" in status.message)


def test_nobody_asks_nothing_is_listened_to() -> None:
    with graph(parameters=KEYFRAMES) as (client, node):
        camera = DepthCamera(client)
        for name in ("/samlite/query_status", "/samlite/query_set"):
            client.stop_listening(name)
        masks = client.listen("/samlite/segmentation", *OUTPUTS["segmentation"])
        camera.until(lambda: masks and masks[-1].instances, "masks")
        camera.until_told(lambda status, _: "nobody asks" in status.message)
        assert camera.depths.get_subscription_count() == 0
        found = client.listen("/samlite/detections_3d", Detection3DArray, RELIABLE)
        comes_anew(camera, found)
        assert "listens to /depth" in node.log()
        client.stop_listening("/samlite/detections_3d")
        camera.until(lambda: not camera.depths.get_subscription_count(), "end of the subscription")


@pytest.mark.acceptance
def test_compressed_depth_where_only_that_is_published() -> None:
    with graph(parameters=KEYFRAMES) as (client, node):
        found = client.listen("/samlite/detections_3d", Detection3DArray, RELIABLE)
        camera = DepthCamera(client, depth_topic="unknown_name")
        packed = client.node.create_publisher(CompressedImage, "/depth/compressedDepth", RELIABLE)
        png = cv2.imencode(".png", (depth_of_scene() * 1000).astype(np.uint16))[1].tobytes()

        def send(stamp_ns: int) -> Image:
            header = header_message(RCLPY, stamp_ns, "optical")
            packed.publish(CompressedImage(header=header, format="16UC1; compressedDepth png", data=bytes(12) + png))
            return depth_message(stamp_ns, depth_of_scene(), "32FC1")

        camera.depth = send
        assert position(comes_anew(camera, found)) == pytest.approx(PLACE_M, abs=0.02)
        assert "listens to /depth/compressedDepth" in node.log()


@pytest.mark.acceptance
def test_three_cameras_are_located_apart() -> None:
    names = ["left", "middle", "right"]
    with graph(parameters={**KEYFRAMES, "cameras": names}) as (client, _):
        cameras = [DepthCamera(client, name) for name in names]
        for number, camera in enumerate(cameras):
            far = depth_of_scene() + np.float32(number)
            camera.depth = lambda stamp_ns, far=far: depth_message(stamp_ns, far, "32FC1")
        found = [client.listen(f"/samlite/{name}/detections_3d", Detection3DArray, RELIABLE) for name in names]

        def all_came():
            for other in cameras[1:]:
                other.send()
            return all(messages and messages[-1].detections for messages in found)

        cameras[0].until(all_came, "detections of all")
        depths = [position(messages[-1])[2] for messages in found]
        assert depths == pytest.approx([NEAR_M, NEAR_M + 1, NEAR_M + 2], abs=0.05)


def test_target_frame_waits_does_without_and_comes_back() -> None:
    parameters = {**KEYFRAMES, "target_frame": "map"}
    with graph(parameters=parameters, environment={"PYTHONPATH": PATH_WITH_TF}) as (client, _):
        found = client.listen("/samlite/detections_3d", Detection3DArray, RELIABLE)
        camera = DepthCamera(client)
        assert comes_anew(camera, found).header.frame_id == "optical"
        camera.until_told(lambda _, values: int(values["answers without transform"]) > 0)
        known = TransformStamped(header=header_message(RCLPY, 1, "map"), child_frame_id="optical")
        known.transform.translation.x, known.transform.rotation.w = 10.0, 1.0
        way = client.node.create_publisher(TransformStamped, "/tf", 10)
        client.wait_for(way.get_subscription_count, "listener to /tf")
        way.publish(known)
        camera.until(lambda: found[-1].header.frame_id == "map" and found[-1].detections, "detections in the map")
        assert position(found[-1])[0] == pytest.approx(10 + PLACE_M[0], abs=0.02)


@pytest.mark.acceptance
def test_a_target_frame_without_tf2_fails_to_configure_with_the_line_to_type() -> None:
    with graph(parameters={**KEYFRAMES, "target_frame": "map"}) as (client, node):
        client.wait_for(lambda: "apt install ros-$ROS_DISTRO-tf2-ros-py" in node.log(), "line to type")
        assert client.state() == "unconfigured"


def test_the_planner_of_the_readme_prints_metres() -> None:
    program = Path(__file__).resolve().parents[2] / "examples/where.py"
    heeding = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-u", "-c", f"{heeding}runpy.run_path(sys.argv[1])", str(program)]
    with graph(parameters={"propagate": False}) as (client, _):
        camera = DepthCamera(client)
        planner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            camera.until(
                lambda: (s := client.statuses.get(("planner", "red ball"))) and s.last_place.header.stamp.sec, "place"
            )
            begun_s = time.monotonic()
            camera.until(lambda: time.monotonic() - begun_s > 1.0, "a second of detections")
            planner.send_signal(signal.SIGINT)
            said, logged = planner.communicate(timeout=20)
        finally:
            planner.kill()
    assert planner.returncode == 0 and "Traceback" not in logged
    assert re.search(r"at \(-0\.29, -0\.1\d, 0\.80\) m, give or take 0\.0\d\d", said), said
