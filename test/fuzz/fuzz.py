"""`make fuzz MINUTES=5`: every target in a process of its own, whose memory and time are bounded, for so long in turns.

What ends a process, or takes too long, or raises what was not meant, is written to test/fuzz/corpus/TARGET/ and fails
the run; what lies there is tried again by `make test`.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import mmap
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from bag_targets import BAG_TARGETS
from checkpoint_targets import CHECKPOINT_TARGETS
from hypothesis import HealthCheck, Phase, given, seed, settings
from mutations import inputs
from targets import TARGETS
from wire_targets import WIRE_TARGETS

ALL = {**TARGETS, **BAG_TARGETS, **CHECKPOINT_TARGETS, **WIRE_TARGETS}
CORPUS = Path(__file__).parent / "corpus"
MEMORY_BYTES = 1 << 30
"""What a target may take on top of what its process has when it begins."""
EXAMPLE_S = 20
"""One input may take so long; on a busy machine it is the processor's time that counts."""
ROUND_S = 30.0
EXAMPLES = 200


def try_one(name: str, data: bytes) -> None:
    """Run a target on one input within its bounds; raises what it raises."""
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, EXAMPLE_S)
    try:
        ALL[name].run(data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(signum: int, frame: object) -> None:
    raise TimeoutError(f"more than {EXAMPLE_S} s of the processor's time")


def bound_memory() -> None:
    """Of this process, from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class Note:
    """The input at hand, where the parent finds it when the process has died of it."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, (1 << 21) + 16)

    def write(self, count: int, data: bytes) -> None:
        self._shared[:16] = count.to_bytes(8, "little") + len(data).to_bytes(8, "little")
        self._shared[16 : 16 + len(data)] = data

    def read(self) -> tuple[int, bytes]:
        count, size = (int.from_bytes(self._shared[at : at + 8], "little") for at in (0, 8))
        return count, bytes(self._shared[16 : 16 + size])


def work(name: str, number: int, seconds: float, note: Note) -> None:
    """A target's process: hypothesis' examples until the time is over; a finding ends it with 1."""
    faulthandler.enable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # codecs in C tell what they think of their input
    target, count = ALL[name], 0
    seeds = [*target.seeds(), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]
    for data in seeds:
        try_one(name, data)  # imports what is needed before the memory is bounded
    bound_memory()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        number += 1

        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs(seeds))
        def examples(data: bytes) -> None:
            nonlocal count
            count += 1
            note.write(count, data)
            if time.monotonic() < end_s:
                try_one(name, data)

        try:
            examples()
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)[-5:]
            where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
            sys.stdout.write(f"{name}: {type(error).__name__}: {str(error)[:300]!r} at {where}\n")
            sys.stdout.flush()
            os._exit(1)
    os._exit(0)


def run_round(name: str, number: int, seconds: float) -> tuple[int, bytes | None]:
    """One target for so long; returns the number of examples, and what it found."""
    note = Note()
    process = get_context("fork").Process(target=work, args=(name, number, seconds, note))
    process.start()
    process.join(seconds + 100)
    if process.is_alive():
        process.kill()
        process.join()
    count, data = note.read()
    return count, None if process.exitcode == 0 else data


def keep(name: str, data: bytes) -> Path:
    """Write a finding where `make test` tries it again."""
    path = CORPUS / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", nargs="*", choices=sorted(ALL), default=sorted(ALL))
    parser.add_argument("--seed", type=int, default=None, help="the same inputs again; else others every time")
    options = parser.parse_args(argv)
    number = random.SystemRandom().randrange(1 << 30) if options.seed is None else options.seed
    end_s = time.monotonic() + 60 * options.minutes
    counts, found = dict.fromkeys(options.only, 0), []
    while time.monotonic() < end_s:
        for name in options.only:
            left_s = max(end_s - time.monotonic(), 1.0)
            count, data = run_round(name, number, min(ROUND_S, left_s))
            counts[name] += count
            if data is not None:
                found.append(keep(name, data))
                print(f"FOUND by {name}, seed {number}: {found[-1]}", flush=True)
            if time.monotonic() > end_s:
                break
        number += 10_000
    print(f"{options.minutes:g} minutes, {sum(counts.values())} inputs, {len(found)} findings")
    print("\n".join(f"  {name}: {count}" for name, count in counts.items()))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
