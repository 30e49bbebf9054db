"""How good carried masks are on somebody's own footage with truth, and what the worst frames look like."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Protocol

from samlite_ros.bench.figures import Figure
from samlite_ros.bench.streaming.both_ways import carried
from samlite_ros.bench.streaming.judge import Judgement, figures_of_verdicts, judge_sequence
from samlite_ros.bench.streaming.options import FootageOptions, Progress
from samlite_ros.bench.streaming.oracle import Imperfection
from samlite_ros.errors import FootageError
from samlite_ros.evaluation.pictures import save, sheet
from samlite_ros.evaluation.truth.label_folders import find_labelled_folders
from samlite_ros.scenes.hard_sequences import TruthFrame

WORST, COLUMNS = 12, 3
"""Frames on a sheet."""
TABLE = "footage"


class LabelledSequence(Hashable, Protocol):
    """Footage with truth."""

    @property
    def name(self) -> str:
        """For tables."""

    def read(self, most: int | None = None) -> list[TruthFrame]:
        """The first frames."""


def find_sequences(options: FootageOptions) -> list[LabelledSequence]:
    """What there is to judge; frames are not read yet.

    Raises:
        FootageError: No such footage, or it is not laid out as it should be.
    """
    place = Path(options.video)
    if not place.exists():
        raise FootageError(f"{place}: no such folder or bag")
    if options.truth or place.is_file() or (place / "metadata.yaml").exists():
        from samlite_ros.bags.dependencies import check_libraries

        check_libraries()
        from samlite_ros.evaluation.truth.labelled_bag import TRUTH_NAME, LabelledBag

        folder = place.parent if place.is_file() else place
        truth = Path(options.truth) if options.truth else folder / TRUTH_NAME
        if not truth.exists():
            raise FootageError(f"{place}: a bag, but no truth {truth}: expected --truth FILE, COCO instances or a bag")
        return [LabelledBag(place, truth, options.image_topic)]
    return list(find_labelled_folders(place, options.rate_hz))


def run(options: FootageOptions, progress: Progress) -> list[Figure]:
    """Judge every sequence under every profile; see `judge.figures_of_verdicts`. Writes a sheet a profile.

    Raises:
        FootageError: The footage cannot be read, or nothing in it can be judged.
    """
    clip = lru_cache(maxsize=1)(partial(_read, options.frames))
    imperfection = Imperfection(options.border_px, options.miss)
    ours = carried(options.refine)
    verdicts = []
    for sequence, profile_ms in progress(list(product(find_sequences(options), options.profiles_ms)), TABLE):
        name = sequence.name.replace("/", " ")  # which parts a figure's name
        verdicts.append(judge_sequence(name, clip(sequence), profile_ms, imperfection, options.charge_s, ours))
    judged = [v for v in verdicts if v is not None]
    if not judged:
        raise FootageError(
            f"{options.video}: every sequence ends before the first pass does, or shows nothing after it"
        )
    save_worst(judged, Path(options.pictures))
    return figures_of_verdicts(TABLE, judged, with_work=options.charge_s is None)


def _read(frames: int, sequence: LabelledSequence) -> list[TruthFrame]:
    return sequence.read(frames)


def save_worst(verdicts: list[Judgement], folder: Path) -> None:
    """Draw the worst frame of the worst sequences, a sheet a profile: footage_worst_250ms.jpg and so on."""
    for profile_ms in dict.fromkeys(v.profile_ms for v in verdicts):
        worst = sorted((v for v in verdicts if v.profile_ms == profile_ms), key=lambda v: v.worst_iou)[:WORST]
        save(folder / f"{TABLE}_worst_{profile_ms:g}ms.jpg", sheet([v.worst for v in worst], COLUMNS))
