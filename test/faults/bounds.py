"""Bounds within which a fault must be refused: memory beyond what the process has, and the processor's time."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20


@contextmanager
def bounds(memory_mib: float = 256, seconds: float = 3.0) -> Iterator[None]:
    """Inside, no more memory can be taken; afterwards it is checked how long it took."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(memory_mib * MIB), before[1]))
    began_s = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - began_s < seconds


def refusal(run: Callable[[], object], kind: type[Exception], **limits: float) -> str:
    """The words in which something is refused, within bounds; they are one line, and short.

    Raises:
        AssertionError: It is not refused.
    """
    with bounds(**limits):
        try:
            run()
        except kind as error:
            words = str(error)
        else:
            raise AssertionError("it was not refused")
    assert "\n" not in words and len(words) < 2000, words[:3000]
    return words
