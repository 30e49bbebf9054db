"""Who may do what on the graph: an SROS 2 policy from the tables of topics."""

from samlite_ros.access.policy import render_policy
from samlite_ros.access.rights import Deployment, Rights, node_rights, profiles

__all__ = ["Deployment", "Rights", "node_rights", "profiles", "render_policy"]
