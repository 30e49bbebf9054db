"""numpy's products of matrices, on one thread."""

from __future__ import annotations

import os
from contextlib import suppress

_THREADS = "OPENBLAS_NUM_THREADS"


def load_with_one_thread() -> None:
    """Load numpy with a BLAS that has no threads of its own, unless the user has said how many.

    Our products are short, and other threads have work: beside a busy core a mask took up to 50 ms instead of 0.3,
    because its thread waited for BLAS' other one. BLAS reads the environment when numpy is loaded: this comes first.
    Afterwards the environment is as it was, for torch, which may have a BLAS of its own.
    """
    if _THREADS in os.environ:
        return
    os.environ[_THREADS] = "1"
    with suppress(ImportError):  # whoever needs it says so
        import numpy as np  # noqa: F401
    del os.environ[_THREADS]
