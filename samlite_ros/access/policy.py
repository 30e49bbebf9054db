"""Rights as an SROS 2 policy, which `ros2 security create_permission` makes the middleware's permissions of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from samlite_ros.access.rights import Deployment, Rights, profiles

VERSION = "0.2.0"
"""Of the format, by its schema: sros2/policy/schemas/policy.xsd."""


def render_policy(deployment: Deployment) -> str:
    """The policy of a deployment: an enclave for each role, named like its node."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<policy version="{VERSION}">', "  <enclaves>"]
    for role, rights in profiles(deployment).items():
        lines += _enclave(deployment.name_of(role), rights)
    return "\n".join([*lines, "  </enclaves>", "</policy>", ""])


def _enclave(node: str, rights: Rights) -> Iterator[str]:
    namespace, _, name = node.rpartition("/")
    yield f"    <enclave path={quoteattr(node)}>"
    yield "      <profiles>"
    yield f"        <profile ns={quoteattr(namespace or '/')} node={quoteattr(name)}>"
    rules: Mapping[tuple[str, str], Iterable[str]] = {
        ("topic", "publish"): rights.publish,
        ("topic", "subscribe"): rights.subscribe,
        ("service", "reply"): rights.reply,
        ("service", "request"): rights.request,
    }
    for (kind, right), names in rules.items():
        yield from _rule(kind, right, sorted(names))
    yield "        </profile>"
    yield "      </profiles>"
    yield "    </enclave>"


def _rule(kind: str, right: str, names: list[str]) -> Iterator[str]:
    if names:
        yield f'          <{kind}s {right}="ALLOW">'
        yield from (f"            <{kind}>{escape(name)}</{kind}>" for name in names)
        yield f"          </{kind}s>"
