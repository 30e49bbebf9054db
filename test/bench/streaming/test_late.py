"""Late queries on the virtual clock."""

import numpy as np
import pytest

from samlite_ros.bench.streaming.late import Bound, Waits, figures_of_late, late_queries


def test_late_queries_beat_waiting_and_no_query_is_left_out():
    waits, bound = late_queries(0, 126.0, queries=12)
    decoded, full = sorted(w.decoded_ms for w in waits), sorted(w.full_pass_ms for w in waits)
    assert len(waits) == 12
    assert np.median(decoded) < np.median(full)
    assert decoded[0] >= 0.36 * 126 - 0.01, "no decoding is sooner than itself"
    assert full[0] >= (0.64 + 2 * 0.36) * 126 - 0.01, "no pass of both phrases is shorter"
    assert bound.allowed_ms == pytest.approx(1.1 * (bound.block_ms + bound.decode_ms))
    later = zip(decoded, sorted(w.published_ms for w in waits), strict=True)
    assert all(published >= decoded for decoded, published in later)


def test_the_figures_say_where_the_bound_is_broken():
    waits = [Waits(10.0, 20.0, 100.0)] * 18 + [Waits(40.0, float("nan"), 100.0)] * 2
    figures = figures_of_late("126 ms", waits, Bound(2.0, 1.0, 8.0))
    row = {f.column: f.value for f in figures if f.table == "late"}
    assert row["bound"] == pytest.approx(12.1)
    assert (row["within_bound"], row["shown"], row["queries"]) == (0.9, 18, 20)
    assert row["p95_over_bound"] > 1 and row["ratio_of_medians"] == 0.1
