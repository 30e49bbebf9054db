"""The middleware: what the environment says of it, and whether images pass through it on this machine."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from samlite_ros.doctor.finding import Finding, error, ok, warn
from samlite_ros.foreign.words import one_line, quoted

LARGEST_DOMAIN, LARGEST_PLAIN_DOMAIN = 232, 101
"""Above the second Linux gives ports of the middleware's to others."""
PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "CYCLONEDDS_URI")
FEW_ARRIVE = 0.9
_IMAGE_REMEDY = (
    "give camera and node config/fastdds.xml (one machine, Fast DDS), or ask for reliable delivery"
    " (reliability:=reliable), or for compressed images (image_transport:=compressed)"
)


def check_environment(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Variables that silently part a graph, or name files that are not there."""
    findings = list(_faults(environment))
    name = environment.get("RMW_IMPLEMENTATION", "")
    domain = environment.get("ROS_DOMAIN_ID", "0")
    words = f"{name or 'the default implementation'}, domain {domain}"
    return [ok("middleware", words), *findings]


def _faults(environment: Mapping[str, str]) -> Iterator[Finding]:
    domain = environment.get("ROS_DOMAIN_ID", "0")
    if not domain.isdigit() or int(domain) > LARGEST_DOMAIN:
        yield error("middleware", f"ROS_DOMAIN_ID is {quoted(domain)}", f"a number from 0 to {LARGEST_DOMAIN}")
    elif int(domain) > LARGEST_PLAIN_DOMAIN:
        yield warn("middleware", f"ROS_DOMAIN_ID is {domain}", "up to 101 its ports are never given to other programs")
    if environment.get("ROS_LOCALHOST_ONLY") == "1" and environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE"):
        advice = "unset ROS_LOCALHOST_ONLY, which overrules the other one"
        yield warn("middleware", "ROS_LOCALHOST_ONLY and ROS_AUTOMATIC_DISCOVERY_RANGE are both set", advice)
    for name in PROFILES:
        if problem := _wrong_profile(environment.get(name, "")):
            yield error(
                "middleware", f"{name}: {problem}", "the middleware ignores such a file without a word: name another"
            )
    if environment.get("ROS_SECURITY_ENABLE", "").lower() == "true":
        yield from _security_faults(environment)


def _wrong_profile(value: str) -> str:
    """What is wrong with a file that a variable names; empty = nothing."""
    if not value or value.lstrip().startswith("<"):
        return ""
    path = Path(value.removeprefix("file://"))
    try:
        ET.parse(path)
    except OSError as failure:
        return f"{path}: {failure.strerror or 'cannot be read'}"
    except ET.ParseError as failure:
        return f"{path} is no XML: {one_line(failure)}"
    return ""


def _security_faults(environment: Mapping[str, str]) -> Iterator[Finding]:
    keystore = environment.get("ROS_SECURITY_KEYSTORE", "")
    if not keystore or not (Path(keystore) / "enclaves").is_dir():
        advice = "ROS_SECURITY_KEYSTORE is the folder that `ros2 security create_keystore` made (docs/security.md)"
        yield error("middleware", "ROS_SECURITY_ENABLE is true, but there is no keystore with enclaves", advice)
    elif environment.get("ROS_SECURITY_STRATEGY") != "Enforce":
        advice = "ROS_SECURITY_STRATEGY=Enforce refuses to start without keys"
        yield warn("middleware", "what has no keys takes part unprotected: the strategy is not Enforce", advice)


def check_passage(send: Callable[[], tuple[int, int]]) -> Finding:
    """Do raw images pass between two participants on this machine?

    Args:
        send: Sends some; how many it sent and how many came.
    """
    sent, came = send()
    words = f"{came} of {sent} raw images of 640x480 px passed from one participant to another"
    if came == 0:
        advice = "a firewall, no multicast (try ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST), or full shared memory"
        return error("middleware", words, advice)
    return warn("middleware", words, _IMAGE_REMEDY) if came < FEW_ARRIVE * sent else ok("middleware", words)
