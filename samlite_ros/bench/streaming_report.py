"""Tables of the streaming benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from samlite_ros.bench.streaming.late import ALLOWED

Report = Mapping[str, Any]
"""What `streaming.run_bench` returns."""
Rows = Mapping[str, Any]


def tables(report: Report) -> str:
    """All tables as text, of whatever was measured."""
    parts = _accuracy_tables(report) if "profiles" in report else []
    makers: dict[str, Callable[[Rows], str]] = {
        "parts": _parts_table,
        "network": _network_table,
        "still": _still_table,
        "entering": _entering_table,
        "late": lambda rows: _late_table("on the virtual clock", {f"{p} ms": r for p, r in rows.items()}),
        "live": lambda rows: _late_table("with real networks and the node's threads", rows),
        "cost": _cost_table,
        "node": _node_table,
    }
    parts += [make(report[name]) for name, make in makers.items() if report.get(name)]
    if report.get("cores_busy_with_others", 0) > 0.2:
        parts.append(
            f"Others kept {report['cores_busy_with_others']:.1f} cores busy meanwhile: elapsed times are long."
        )
    return "\n\n".join(parts)


def _accuracy_tables(report: Report) -> list[str]:
    rows = report["profiles"]
    return [
        _main_table("all sequences", rows),
        *(_main_table(f"{name} sequences", r) for name, r in report["sets"].items()),
        *(_main_table(name, r) for name, r in report["variants"].items()),
        _causes_table(rows),
        _causes_in_sight_table({"all": rows, **report["sets"]}),
        _identity_table(rows),
        _sequence_table(report["sequences"], list(rows)),
    ]


def _main_table(title: str, rows: Rows) -> str:
    head = ["profile", "a pass", "peers", "ours", "error", "peers, in sight", "ours", "error"]
    head += ["answered", "late", "knowledge", "work", "id switches"]
    lines = [
        [
            f"{profile} ms",
            f"{r['pass_ms']:.0f} ms",
            f"{r['iou_peers']:.3f}",
            f"{r['iou_ours']:.3f}",
            f"x {r['error_ratio']:.2f}",
            f"{r['iou_peers_visible']:.3f}",
            f"{r['iou_ours_visible']:.3f}",
            f"x {r['error_ratio_visible']:.2f}",
            f"{100 * r['answered']:.1f} %",
            f"{r['age_frames_max']} frames",
            f"{r['knowledge_age_s_max']:.2f} s",
            "{p50:.1f} / {p95:.1f} / {max:.1f} ms".format(**r["work_ms"]),
            f"{r['id_switches']}",
        ]
        for profile, r in rows.items()
    ]
    return _aligned(f"{title}: IoU at every frame (work: p50 / p95 / max of one core, without messages)", head, lines)


def _causes_table(rows: Rows) -> str:
    causes = list(next(iter(rows.values()))["error_by_cause"]["ours"])
    lines = [
        [
            f"{profile} ms, {side}",
            *(f"{r['error_by_cause'][side][cause]:.3f}" for cause in causes),
            f"{sum(r['error_by_cause'][side].values()):.3f}",
            f"{r['ghosts_per_frame'][side]:.2f}",
        ]
        for profile, r in rows.items()
        for side in ("ours", "peers")
    ]
    head = ["", *causes, "in all", "masks of nothing, per frame"]
    return _aligned("what the error (1 - IoU) is made of; what is not in the keyframe nobody can know", head, lines)


def _causes_in_sight_table(sets: dict[str, Rows]) -> str:
    some_row = next(iter(next(iter(sets.values())).values()))
    causes = [c for c in some_row["error_by_cause_visible"]["ours"] if c != "partly hidden now"]
    lines = []
    for name, rows in sets.items():
        for profile, r in rows.items():
            ours = r["error_by_cause_visible"]["ours"]
            shares = [*(ours[c] for c in causes), sum(ours.values()), 1 - ours[causes[0]]]
            lines.append([f"{profile} ms, {name}", *(f"{share:.3f}" for share in shares)])
    title = "our error of what is wholly in the image and in sight, and the most IoU there that anybody could reach"
    return _aligned(title, ["", *causes, "in all", "bound of the IoU"], lines)


def _identity_table(rows: Rows) -> str:
    names = {"ours": "ours", "peers": "peers", "peers_at_keyframes": "peers, at their keyframes"}
    lines = [
        [
            f"{profile} ms, {names[side]}",
            f"{i['switches_per_minute']:.1f}",
            f"{i['fragmentations_per_minute']:.1f}",
            f"{i['idf1']:.3f}",
        ]
        for profile, r in rows.items()
        for side, i in r["identity"].items()
    ]
    title = (
        "identity, counted where masks meet things (IoU > 0.5); peers: keyframes matched without carrying, judged at"
        "\nevery frame as ours, and as if the network took no time: at the very frames that it saw"
    )
    return _aligned(title, ["", "switches/min", "fragments/min", "IDF1"], lines)


def _sequence_table(sequences: Rows, profiles: Sequence[str]) -> str:
    lines = [
        [name, *(f"x {rows[p]['error_ratio']:.2f} ({rows[p]['error_ratio_visible']:.2f})" for p in profiles)]
        for name, rows in sequences.items()
    ]
    return _aligned("error over the peers', all (in sight)", ["sequence", *(f"{p} ms" for p in profiles)], lines)


def _parts_table(parts: Rows) -> str:
    profiles = list(next(iter(parts.values())))
    lines = [
        [name, *(f"x {rows[p]['error_ratio']:.3f} ({rows[p]['error_ratio_visible']:.3f})" for p in profiles)]
        for name, rows in parts.items()
    ]
    title = "each part's worth: error over the peers' without it, all (in sight); development sequences"
    return _aligned(title, ["without", *(f"{p} ms" for p in profiles)], lines)


def _network_table(found: Rows) -> str:
    lines = [
        [
            f"{p} ms",
            f"{r['iou_peers']:.3f}",
            f"{r['iou_ours']:.3f}",
            f"x {r['error_ratio']:.2f}",
            f"{r['iou_peers_visible']:.3f}",
            f"{r['iou_ours_visible']:.3f}",
            f"{r['id_switches']}",
        ]
        for p, r in found["profiles"].items()
    ]
    head = ["profile", "peers", "ours", "error", "peers, in sight", "ours", "id switches"]
    return _aligned(f"the same with {found['model']} in the loop, its own errors included", head, lines)


def _still_table(still: Rows) -> str:
    lines = [
        [
            f"{sensor}, {p} ms",
            f"{100 * r['share_without_embedding']:.1f} % of {r['frames']}",
            f"{r['iou_ours']:.4f}",
            f"{r['iou_peers']:.4f}",
        ]
        for sensor, rows in still.items()
        for p, r in rows.items()
    ]
    return _aligned("still scene", ["sensor, profile", "frames without embedding", "IoU, ours", "peers"], lines)


def _entering_table(entering: Rows) -> str:
    kinds = [*next(iter(entering.values()))["by_size"], *next(iter(entering.values()))["by_contrast"]]
    lines = [
        [
            f"{p} ms",
            *(f"{r[name]:.2f}" for name in ("p50", "p95", "max")),
            f"{100 * r['within_two']:.0f} % of {len(r['latencies'])}",
            *(f"{value:.2f}" for value in (*r["by_size"].values(), *r["by_contrast"].values())),
        ]
        for p, r in entering.items()
    ]
    title = "things that enter a still scene: until they are answered, in latencies of the network; medians by kind"
    return _aligned(title, ["profile", "p50", "p95", "max", "within two", *kinds], lines)


def _late_table(how: str, rows: Rows) -> str:
    head = ["", "queries", "decoded p50", "p95", "max", "published p50", "p95", "full pass p50", "p95", "ratio"]
    head += ["block + text + decode", "bound", "p95 / bound", "within"]
    lines = [
        [
            name,
            f"{r['queries']}",
            *(f"{r['decoded_ms'][q]:.0f}" for q in ("p50", "p95", "max")),
            *(f"{r['published_ms'][q]:.0f}" for q in ("p50", "p95")),
            *(f"{r['full_pass_ms'][q]:.0f}" for q in ("p50", "p95")),
            f"x {r['ratio_of_medians']:.2f}",
            f"{r['block_ms']:.1f} + {r['text_ms']:.1f} + {r['decode_ms']:.1f}",
            f"{r['bound_ms']:.0f}",
            f"{r['p95_over_bound']:.2f}",
            f"{100 * r['within_bound']:.0f} %",
        ]
        for name, r in rows.items()
    ]
    title = f"late query to its masks [ms], {how}; the bound is {ALLOWED:g} times its parts"
    return _aligned(title, head, lines)


def _cost_table(cost: Rows) -> str:
    lines = [
        [
            name,
            f"{r['instances']:.1f}",
            *(_triple(r["idle"][kind]) for kind in ("cpu_ms", "messages_cpu_ms", "wall_ms")),
            *(_triple(r[neighbour]["wall_ms"]) for neighbour in ("beside", "beside_thread")),
        ]
        for name, r in cost.items()
    ]
    head = ["things", "published", "work", "of it messages", "elapsed", "beside a network", "... on a thread"]
    title = "work per frame, messages included [ms: p50 / p95 / max]; elapsed beside a network in a process of its own"
    return _aligned(f"{title}, and on a thread of the same process", head, lines)


def _triple(values: Rows) -> str:
    return "{p50:.1f} / {p95:.1f} / {max:.1f}".format(**values)


def _node_table(node: Rows) -> str:
    head = ["profile", "frames in", "out", "answered", "rate in", "out", "age at most", "late", "knowledge at most"]
    head += ["latency p50 / p95 / p99 / max", "dropped", "foreign", "repeated", "IoU", "in sight"]
    lines = [
        [
            f"{p} ms",
            f"{r['frames_in']}",
            f"{r['frames_out']}",
            f"{100 * r['answered']:.1f} %",
            f"{r['rate_in_hz']:.1f} Hz",
            f"{r['rate_out_hz']:.1f} Hz",
            f"{r['age_frames_max']} frames",
            f"{r['late_frames']}",
            f"{r['knowledge_age_s_max']:.2f} of {r['max_mask_age_s']:g} s",
            "{p50:.0f} / {p95:.0f} / {p99:.0f} / {max:.0f} ms".format(**r["latency_ms"]),
            f"{r['dropped']}",
            f"{r['foreign']}",
            f"{r['repeated']}",
            f"{r['iou']:.3f}",
            f"{r['iou_visible']:.3f}",
        ]
        for p, r in node.items()
    ]
    return _aligned("through the node, over DDS, beside a busy network", head, lines)


def _aligned(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title, text[0], "-" * max(map(len, text)), *text[1:]])
