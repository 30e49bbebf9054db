"""What a board says of itself: power mode, temperatures, the release of its system."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

_THERMAL = Path("/sys/class/thermal")
_RELEASES = ("/etc/nv_tegra_release", "/etc/os-release")
_WAIT_S = 10.0


def power_mode() -> str:
    """What `nvpmodel -q` says, on one line; empty where there is none, or it may not be asked."""
    return _said("nvpmodel", "-q")


def clocks() -> str:
    """What `jetson_clocks --show` says; empty where there is none, or it may not be asked."""
    return _said("jetson_clocks", "--show")


def temperatures_c() -> dict[str, float]:
    """Of each thermal zone that can be read [degrees Celsius]."""
    found = {}
    for zone in sorted(_THERMAL.glob("thermal_zone*")):
        with suppress(OSError, ValueError):  # some zones refuse to be read while their part sleeps
            name = (zone / "type").read_text().strip()
            found[f"{zone.name.removeprefix('thermal_zone')} {name}"] = int((zone / "temp").read_text()) / 1000
    return found


def release() -> str:
    """First line of the board's release file, or of the system's."""
    for name in _RELEASES:
        with suppress(OSError):
            return Path(name).read_text(encoding="utf-8").splitlines()[0]
    return ""


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else ""
