"""Commands that say hundreds of lines: into a log file, with signs of life and, on failure, the last lines shown."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

SIGN_OF_LIFE_S = 15.0
"""After so long without a word the newest line of the output is shown."""
LAST_LINES = 25
WIDTH = 110


def run_quietly(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] = os.environ,
    show: str = "(?!)",
    every_s: float = SIGN_OF_LIFE_S,
) -> int:
    """Run a command.

    Args:
        command: Its words.
        log: Takes all that it says.
        environment: Of it.
        show: Regular expression of lines that are shown at once; none.
        every_s: A sign of life comes after so long without a word [s].

    Returns:
        Its status; where that is not 0 the last lines and the name of the log were shown.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start_s = spoke_s = time.monotonic()
    last: deque[str] = deque(maxlen=LAST_LINES)
    with log.open("w") as file, _started(command, environment) as process:
        lines = _lines_of(process)
        while True:
            try:
                line = lines.get(timeout=max(spoke_s + every_s - time.monotonic(), 0.01))
            except queue.Empty:
                line = ""
            if line is None:
                break
            file.write(line)
            file.flush()
            if line.strip():
                last.append(line.rstrip())
            if re.search(show, line):
                _say(line)
                spoke_s = time.monotonic()
            elif time.monotonic() >= spoke_s + every_s:
                _say(f"{time.monotonic() - start_s:4.0f} s: {last[-1].strip() if last else '...'}")
                spoke_s = time.monotonic()
    if process.returncode:
        print(*last, f"    all that it said is in {log}", sep="\n", flush=True)
    return process.returncode


def _started(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _lines_of(process: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """What it says, line by line; None at the end."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    return lines


def _read(output: TextIO, lines: queue.Queue[str | None]) -> None:
    for line in output:
        lines.put(line)
    lines.put(None)


def _say(text: str) -> None:
    print(f"    {text.strip():.{WIDTH}}", flush=True)
