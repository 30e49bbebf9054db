"""Pictures for people: which topics of a result hold the camera's images."""

import pytest

from samlite_ros.evaluation.pictures import NOT_CAMERAS
from samlite_ros.messages.outputs import CAMERA_OUTPUTS


@pytest.mark.parametrize("camera", ["", "front"])
def test_images_that_the_node_makes_are_no_cameras(camera):
    made = [o.of(camera, "/samlite") for o in CAMERA_OUTPUTS if o.type_name.endswith("Image")]
    assert len(made) >= 5
    assert all(topic.endswith(NOT_CAMERAS) for topic in made)


@pytest.mark.parametrize("topic", ["/camera/image", "/camera/image/compressed", "/front/image_raw", "/my_overlay"])
def test_cameras_are(topic):
    assert not topic.endswith(NOT_CAMERAS)
