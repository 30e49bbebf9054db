"""`samlite doctor`: what on this machine keeps the node from working, and what to do about it."""

from samlite_ros.doctor.finding import Finding, Level
from samlite_ros.doctor.rounds import Rounds, examine

__all__ = ["Finding", "Level", "Rounds", "examine"]
