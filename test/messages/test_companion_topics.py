"""Depth and calibration are found under the names that drivers give them."""

import pytest

from samlite_ros.messages.companion_topics import CompanionTopics, depth_candidates, find_companions, is_rectified

IMAGE, PACKED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"


@pytest.mark.parametrize(
    ("image", "depth", "info"),
    [
        ("/c/c/color/image_raw", "/c/c/aligned_depth_to_color/image_raw", "/c/c/color/camera_info"),
        ("/camera/color/image_raw", "/camera/depth/image_raw", "/camera/color/camera_info"),
        ("/camera/rgb/image_rect_color", "/camera/depth_registered/image_raw", "/camera/rgb/camera_info"),
        ("/zed/zed_node/rgb/image_rect_color", "/zed/zed_node/depth/depth_registered", "/zed/zed_node/rgb/camera_info"),
        ("/oak/rgb/image_raw", "/oak/stereo/image_raw", "/oak/rgb/camera_info"),
        ("/camera/image", "/camera/depth_image", "/camera/camera_info"),
        ("/rgb/image_raw", "/depth_to_rgb/image_raw", "/rgb/camera_info"),
        ("/front/image", "/front/depth", "/front/camera_info"),
        ("/image", "/depth", "/camera_info"),
        ("/image", "/depth/image_raw", "/depth/camera_info"),
    ],
)  # fmt: skip
def test_names_of_drivers(image, depth, info) -> None:
    types = {image: IMAGE, depth: IMAGE, info: INFO, "/other/depth": IMAGE}
    assert find_companions(image, types) == CompanionTopics(depth, info)
    assert find_companions(f"{image}/compressed", types) == CompanionTopics(depth, info)
    packed = {**types, f"{depth}/compressedDepth": PACKED}
    assert find_companions(image, packed).depth == depth
    assert find_companions(image, packed, prefer_compressed=True).depth == f"{depth}/compressedDepth"
    del packed[depth]
    found = find_companions(image, packed)
    assert (found.depth, found.compressed, found.camera_info) == (f"{depth}/compressedDepth", True, info)


def test_registered_depth_comes_before_depth_that_may_not_be() -> None:
    types = dict.fromkeys(["/c/color/image_raw", "/c/depth/image_raw", "/c/aligned_depth_to_color/image_raw"], IMAGE)
    assert find_companions("/c/color/image_raw", types).depth == "/c/aligned_depth_to_color/image_raw"


def test_given_names_are_used_and_nothing_else() -> None:
    types = {"/image": IMAGE, "/depth": IMAGE, "/camera_info": INFO, "/my/depth": IMAGE, "/my/info": INFO}
    given = CompanionTopics("/my/depth", "/my/info")
    assert find_companions("/image", types, given) == given
    assert find_companions("/image", types, CompanionTopics("/not/there")).depth == ""


def test_topics_of_other_types_are_none() -> None:
    assert find_companions("/image", {"/image": IMAGE, "/depth": PACKED, "/camera_info": IMAGE}) == CompanionTopics()


@pytest.mark.parametrize(
    ("topic", "is_so"),
    [
        ("/camera/image_rect_color", True),
        ("/camera/image_rect/compressed", True),
        ("/rectified/image_raw", False),
        ("/image", False),
    ],
)
def test_rectified_images_are_known_by_their_name(topic, is_so) -> None:
    assert is_rectified(topic) is is_so


def test_an_image_is_not_its_own_depth() -> None:
    assert "/camera/depth/image_raw" not in depth_candidates("/camera/depth/image_raw")
