"""What is made from the table of parameters: config/samlite.yaml and the table of docs/parameters.md."""

from __future__ import annotations

from dataclasses import asdict

from samlite_ros.parameters.table import SPECS, Parameters


def render_yaml() -> str:
    """The text of config/samlite.yaml."""
    lines = [
        "# Every parameter of the samlite node with its default. Made from samlite_ros/parameters/table.py.",
        "/**:",
    ]
    lines.append("  ros__parameters:")
    for name, value in asdict(Parameters()).items():
        spec = SPECS[name]
        limits = " ".join(filter(None, [spec.range_text, spec.unit and f"[{spec.unit}]"]))
        notes = "; ".join(filter(None, [limits, f"may change {spec.change.value}"]))
        lines += [f"    # {spec.meaning}", f"    # ({notes})", f"    {name}: {_yaml_value(value)}"]
    return "\n".join(lines) + "\n"


def render_markdown() -> str:
    """The table of parameters of docs/parameters.md."""
    lines = ["| parameter | default | range | unit | may change | meaning |", "|---|---|---|---|---|---|"]
    for name, value in asdict(Parameters()).items():
        spec = SPECS[name]
        default = "[]" if value == () else _yaml_value(value)
        cells = (f"`{name}`", f"`{default}`", spec.range_text, spec.unit, spec.change.value, spec.meaning)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _yaml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return '[""]'
    return f'"{value}"' if isinstance(value, str) else str(value)
