"""The middleware's environment, and images that do not pass."""

import pytest

from samlite_ros.doctor import Level
from samlite_ros.doctor.middleware import check_environment, check_passage


@pytest.mark.parametrize(
    ("environment", "level", "words"),
    [
        ({"ROS_DOMAIN_ID": "233"}, "ERROR", "'233'"),
        ({"ROS_DOMAIN_ID": "seven"}, "ERROR", "'seven'"),
        ({"ROS_DOMAIN_ID": "150"}, "WARN", "150"),
        ({"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, "WARN", "both set"),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "/nowhere/x.xml"}, "ERROR", "/nowhere/x.xml"),
        ({"CYCLONEDDS_URI": "file:///nowhere/x.xml"}, "ERROR", "/nowhere/x.xml"),
        ({"ROS_SECURITY_ENABLE": "true"}, "ERROR", "keystore"),
    ],
)
def test_a_variable_that_parts_the_graph_is_told(environment, level, words):
    first, finding = check_environment(environment)
    assert first.level is Level.OK
    assert finding.level.name == level
    assert words in finding.found
    assert finding.advice


def test_a_profile_that_is_no_xml_and_a_strategy_that_enforces_nothing(tmp_path):
    (tmp_path / "x.xml").write_text("<profiles")
    (tmp_path / "enclaves").mkdir()
    _, profile, strategy = check_environment(
        {
            "FASTDDS_DEFAULT_PROFILES_FILE": str(tmp_path / "x.xml"),
            "ROS_SECURITY_ENABLE": "true",
            "ROS_SECURITY_KEYSTORE": str(tmp_path),
        }
    )
    assert "is no XML" in profile.found
    assert strategy.level is Level.WARN


def test_an_environment_that_is_well():
    (finding,) = check_environment({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp", "CYCLONEDDS_URI": "<CycloneDDS/>"})
    assert finding.level is Level.OK
    assert "rmw_zenoh_cpp" in finding.found


@pytest.mark.parametrize(("came", "level"), [(20, "OK"), (18, "OK"), (17, "WARN"), (0, "ERROR")])
def test_images_that_do_not_pass(came, level):
    finding = check_passage(lambda: (20, came))
    assert finding.level.name == level
    assert f"{came} of 20" in finding.found
