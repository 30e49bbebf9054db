"""The tests of what makes the environment import it from the source tree."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))  # behind all else: of samlite_ros the installed one is tested
