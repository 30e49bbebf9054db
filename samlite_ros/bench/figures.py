"""Figures with names: what the table shows, what the JSON file holds, what two runs are compared by."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from samlite_ros.bench.timing import Summary, summarise
from samlite_ros.errors import SamliteError

FORMAT_VERSION = 1
CURVE = (1, 10, 25, 50, 75, 90, 95, 99, 100)
"""Shares of a distribution that is drawn as a curve [%]."""


@dataclass(frozen=True)
class Figure:
    """One measured (or derived) number.

    Args:
        name: 'part/row/column', e.g. 'reuse/s0-504, 8 phrases/ours'; rows and columns are those of the table.
        unit: 's', 'ms', 'MiB', 'Hz', 'times', '%' ...
        value: The number; a median where it was measured repeatedly.
        low, high: Interval of the median.
        coverage: Probability that the interval holds the true median; 1 where the number has none.
        count: Number of samples.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    coverage: float = 1.0
    count: int = 1

    @property
    def table(self) -> str:
        """Part: the table it belongs to."""
        return self.name.split("/")[0]

    @property
    def row(self) -> str:
        """Row of the table."""
        return self.name.split("/")[1]

    @property
    def column(self) -> str:
        """Column of the table."""
        return self.name.split("/")[2]


@dataclass
class Report:
    """All figures of one run.

    Args:
        machine: Where it ran; see `machine.describe`.
        conditions: How: options, and what else the machine did meanwhile.
        figures: In the order of the tables.
    """

    machine: Mapping[str, Any]
    conditions: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)


def figure(name: str, unit: str, values: Sequence[float] | Summary) -> Figure:
    """A figure from repeated measurements.

    Args:
        name: 'part/row/column'.
        unit: Of the values.
        values: The samples, or their summary.
    """
    s = values if isinstance(values, Summary) else summarise(values)
    return Figure(name, unit, s.median, s.low, s.high, s.coverage, s.number)


def derived(name: str, unit: str, value: float) -> Figure:
    """A figure that follows from others, or a count: it has no interval."""
    return Figure(name, unit, value, value, value)


def row(name: str, values: Mapping[str, float], unit: str = "") -> list[Figure]:
    """Figures without intervals, one per column; what is not defined or has no bound is left out.

    Args:
        name: 'part/row'.
        values: By column.
        unit: Of all of them.
    """
    return [derived(f"{name}/{c}", unit, float(v)) for c, v in values.items() if math.isfinite(v)]


def percentiles(
    name: str, unit: str, values: Sequence[float], shares: Iterable[int], prefix: str = "p"
) -> list[Figure]:
    """A distribution in figures: one column per share [%], 'p50' and so on; none without values."""
    if not len(values):
        return []
    return [derived(f"{name}/{prefix}{q}", unit, float(np.percentile(values, q))) for q in shares]


def save_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    content = {
        "format": FORMAT_VERSION,
        "machine": dict(report.machine),
        "conditions": report.conditions,
        "figures": [asdict(f) for f in report.figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_report(path: Path) -> Report:
    """Read a report.

    Raises:
        SamliteError: The file is missing or no report of this format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT_VERSION:
            raise SamliteError(f"{path} has format {content['format']!r}, this version reads {FORMAT_VERSION}")
        figures = [_read_figure(f) for f in content["figures"]]
        return Report(dict(content["machine"]), dict(content["conditions"]), figures)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SamliteError(f"{path} is no benchmark report: {type(error).__name__}: {error}") from error


def _read_figure(content: Mapping[str, Any]) -> Figure:
    """A figure from its JSON; what another release may have added is left out.

    Raises:
        ValueError: It has no name of three parts, or no numbers.
    """
    item = Figure(**{f.name: content[f.name] for f in fields(Figure) if f.name in content})
    if item.name.count("/") != 2 or not all(isinstance(v, int | float) for v in (item.value, item.low, item.high)):
        raise ValueError(f"figure {item.name!r}: expected 'part/row/column' and numbers")
    return item


def tables(figures: Iterable[Figure]) -> str:
    """All figures as text, one table per part."""
    by_table: dict[str, list[Figure]] = {}
    for item in figures:
        by_table.setdefault(item.table, []).append(item)
    return "\n\n".join(_table(name, items) for name, items in by_table.items())


def comparison(old: Report, new: Report) -> str:
    """Old, new and new / old of every figure that both reports have, and what else changed between them, as text."""
    before = {f.name: f for f in old.figures}
    rows = [("figure", "old", "new", "new / old")]
    for item in new.figures:
        earlier = before.pop(item.name, None)
        if earlier is not None:
            rows.append((f"{item.name} [{item.unit}]", _number(earlier), _number(item), _change(earlier, item)))
    table = _aligned(rows) if len(rows) > 1 else "no figure is in both reports"
    notes = [*_differences("machine", old.machine, new.machine), *_differences("options", *map(_options, (old, new)))]
    alone = len(new.figures) - len(rows) + 1, len(before)
    if any(alone):
        notes.append(f"only in the new report: {alone[0]} figures; only in the old one: {alone[1]}")
    return "\n".join((table, *notes))


def _change(old: Figure, new: Figure) -> str:
    if old.unit != new.unit:
        return f"was in {old.unit or 'no unit'}"
    return f"{new.value / old.value:.2f}" if old.value else "-"


def _options(report: Report) -> Mapping[str, Any]:
    options = report.conditions.get("options")
    return options if isinstance(options, Mapping) else {}


def _differences(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A line for each entry that differs; tuples and the lists that JSON makes of them are the same."""
    changed = [k for k in dict.fromkeys((*old, *new)) if json.dumps(old.get(k)) != json.dumps(new.get(k))]
    return [f"{what}: {key} was {old.get(key)}, is {new.get(key)}" for key in changed]


def _table(name: str, figures: Sequence[Figure]) -> str:
    """Units stand in the head, intervals in brackets."""
    columns = {f.column: f"{f.column} [{f.unit}]" if f.unit else f.column for f in figures}
    cells = {(f.row, f.column): _number(f) for f in figures}
    rows = [(name, *columns.values())]
    rows += [(row, *(cells.get((row, c), "") for c in columns)) for row in dict.fromkeys(f.row for f in figures)]
    return _aligned(rows)


def _number(item: Figure) -> str:
    if item.low == item.high:
        return _digits(item.value)
    return f"{_digits(item.value)} [{_digits(item.low)}, {_digits(item.high)}]"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join((lines[0], "-" * max(map(len, lines)), *lines[1:]))
