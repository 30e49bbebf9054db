"""Draw docs/architecture.png: the rooms on their floors, as pyproject.toml declares them, and the threads of the node.

python3 docs/draw_architecture.py
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).resolve().parent.parent
SUBJECTS = {
    "foreign": "limits on what others wrote",
    "commands": "samlite segment, replay ...",
    "bench": "what reuse buys; some need torch, rclpy",
    "demo": "rendered camera, planner",
    "doctor": "what keeps it from working",
    "play": "publish a bag",
    "training": "of the demo network",
    "access": "who may do what",
    "evaluation": "answers against truth",
    "node": "topics, parameters, wiring",
    "replay": "a bag through the pipeline",
    "bags": "read and write",
    "client": "for planners",
    "live": "threads: streams, network",
    "parameters": "one table",
    "virtual": "one event loop, no threads",
    "messages": "fill, read, table of outputs",
    "network": "its place and process",
    "streaming": "between two passes",
    "pixels": "images, masks, overlay",
    "queries": "registry, statuses",
    "scenes": "rendered, with truth",
    "segmenter": "what the network computes",
    "space": "masks and depth to places",
    "errors": "typed, with values",
    "types": "the values that travel",
}
NEEDS = {
    "torch": ("segmenter", "training"),
    "rclpy": ("node", "client", "play", "demo", "doctor"),
    "rosbags": ("bags",),
}
COLORS = {"torch": "#f4d9c6", "rclpy": "#cfe0f3", "rosbags": "#dcebd0", "": "#f2f2f2"}


def floors() -> list[list[str]]:
    """Names of the rooms, top floor first."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.search(r"^layers = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert layers is not None, "pyproject.toml declares no layers"
    return [[room.strip(" ()") for room in floor.split("|")] for floor in re.findall(r'"(.+?)"', layers[1])]


def draw_box(
    axes: Axes, x: float, y: float, width: float, height: float, color: str, title: str, text: str = ""
) -> None:
    """A rounded box with a bold title and a line below it."""
    style = "round,pad=0.02,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=color, edgecolor="#707070"))
    up = 0.62 if text else 0.5
    axes.text(x + width / 2, y + height * up, title, ha="center", va="center", weight="bold", size=9)
    axes.text(x + width / 2, y + height * 0.25, text, ha="center", va="center", size=7)


def draw_floors(axes: Axes) -> None:
    """The rooms; an arrow may only go down."""
    rows = floors()
    for row, rooms in enumerate(rows):
        y, width = len(rows) - row, 11.0 / len(rooms)
        for place, room in enumerate(rooms):
            need = next((package for package, users in NEEDS.items() if room in users), "")
            draw_box(axes, place * width, y, width - 0.2, 0.75, COLORS[need], room, SUBJECTS.get(room, ""))
    axes.annotate(
        "imports", (11.25, 1.2), (11.25, len(rows) + 0.6), ha="center", size=8, arrowprops={"arrowstyle": "->"}
    )
    for place, package in enumerate(NEEDS):
        axes.text(
            place * 1.6, 0.55, f"  {package}  ", size=8, bbox={"facecolor": COLORS[package], "edgecolor": "#707070"}
        )
    axes.set(xlim=(-0.2, 11.9), ylim=(0.3, len(rows) + 1.0))
    axes.set_title("Rooms of samlite_ros/: a room imports only from the floors below", size=10, loc="left")


def draw_threads(axes: Axes) -> None:
    """Who runs where, and what goes between them."""
    draw_box(axes, 0.0, 1.0, 2.2, 1.4, COLORS["rclpy"], "executor", "callbacks put, never compute")
    draw_box(axes, 3.4, 1.0, 2.4, 1.4, COLORS[""], "stream thread, one a camera", "decode, carry masks, publish")
    draw_box(axes, 7.0, 1.0, 1.9, 1.4, COLORS[""], "network thread", "whose turn, which job")
    draw_box(axes, 10.0, 1.0, 1.7, 1.4, COLORS["torch"], "network's process", "embed, decode")
    for x0, x1, y, text in (
        (2.2, 3.4, 2.1, "newest image,\nvocabulary"),
        (3.4, 2.2, 1.3, "answers: found or not"),
        (7.0, 5.8, 1.3, "results"),
        (5.8, 7.0, 2.1, "job: frame,\nprompts"),
        (8.9, 10.0, 2.1, "image in\nshared memory"),
        (10.0, 8.9, 1.3, "masks"),
    ):
        axes.annotate("", (x1, y), (x0, y), arrowprops={"arrowstyle": "->", "color": "#404040"})
        down = x1 < x0
        axes.text(
            (x0 + x1) / 2, y + (-0.12 if down else 0.1), text, ha="center", va="top" if down else "bottom", size=7
        )
    axes.set(xlim=(-0.2, 11.9), ylim=(0.7, 2.8))
    axes.set_title("Threads and processes of the node", size=10, loc="left")


def main() -> None:
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(11, 9.5), height_ratios=(7, 2))
    draw_floors(top)
    draw_threads(bottom)
    for axes in (top, bottom):
        axes.axis("off")
    figure.tight_layout()
    figure.savefig(ROOT / "docs/architecture.png", dpi=110)


if __name__ == "__main__":
    main()
