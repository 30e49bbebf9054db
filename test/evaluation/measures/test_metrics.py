"""The measures against independent implementations on random cases, and worked examples."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.ndimage import distance_transform_edt
from scipy.optimize import linear_sum_assignment

from samlite_ros.evaluation.measures.ages import age_histogram
from samlite_ros.evaluation.measures.cases import Case, FoundInstance, make_case
from samlite_ros.evaluation.measures.contours import TOLERANCE, contour_f
from samlite_ros.evaluation.measures.detection import average_precision, count_detections
from samlite_ros.evaluation.measures.identity import count_identities
from samlite_ros.evaluation.measures.matching import IOU_THRESHOLDS
from samlite_ros.evaluation.measures.saco import saco_scores
from samlite_ros.evaluation.measures.scores import score
from samlite_ros.evaluation.truth.instances import TrueInstance
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.types import Mask

HEIGHT, WIDTH = 60, 80


def blob(rng: np.random.Generator, center: tuple[float, float], radius: float) -> Mask:
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    stretch = rng.uniform(0.7, 1.4)
    return mask_from_array((x - center[1]) ** 2 * stretch + (y - center[0]) ** 2 / stretch <= radius**2)


def random_case(rng: np.random.Generator, stamp_ns: int = 0, crowds: bool = False) -> Case:
    """Some true things, most of them found with a bent mask, some found twice, some found where nothing is."""
    truth, found = [], []
    for track in range(1, rng.integers(0, 5) + 1):
        center = rng.uniform(5, HEIGHT - 5), rng.uniform(5, WIDTH - 5)
        radius = rng.uniform(5, 14)
        truth.append(TrueInstance(blob(rng, center, radius), track, crowds and rng.random() < 0.2))
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            bent = blob(rng, tuple(np.add(center, rng.normal(0, 1.5, 2))), radius * rng.uniform(0.8, 1.2))
            free = sorted(set(range(11, 31)) - {f.track_id for f in found})
            usual = track + 10
            track_id = usual if usual in free and rng.random() < 0.8 else int(rng.choice(free))
            found.append(FoundInstance(bent, float(np.round(rng.uniform(0.2, 1), 2)), track_id))
    if rng.random() < 0.3:
        found.append(FoundInstance(blob(rng, (30, 40), 6), float(rng.uniform(0.2, 1)), 40))
    seen = [f for f in found if f.mask.area]
    return make_case(stamp_ns, "", "red ball", seen, [t for t in truth if t.mask.area], contours=False)


def disc(x: float, y: float = 30, radius: float = 8) -> Mask:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    return mask_from_array((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def with_masks(rng: np.random.Generator, n: int) -> tuple[list[Case], list, list]:
    """Cases of one phrase with the COCO annotations and results that say the same."""
    cases, annotations, results = [], [], []
    for image_id in range(1, n + 1):
        truth = [TrueInstance(blob(rng, tuple(rng.uniform(10, 50, 2)), 9), crowd=bool(rng.random() < 0.15))]
        truth += [TrueInstance(blob(rng, tuple(rng.uniform(10, 50, 2)), 7)) for _ in range(rng.integers(0, 4))]
        found = [
            FoundInstance(blob(rng, (rng.uniform(10, 50), rng.uniform(10, 50)), 8), float(np.round(rng.random(), 1)))
            for _ in range(rng.integers(0, 5))
        ]
        found += [FoundInstance(t.mask, float(np.round(rng.random(), 1))) for t in truth if rng.random() < 0.6]
        cases.append(make_case(image_id, "", "thing", found, truth, contours=False))
        for t in truth:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": int(t.crowd),
                    "area": t.mask.area,
                    "bbox": [0, 0, 1, 1],
                    "segmentation": coco_mask.encode(np.asfortranarray(t.mask.full().astype(np.uint8))),
                }
            )
        for f in found:
            rle = coco_mask.encode(np.asfortranarray(f.mask.full().astype(np.uint8)))
            results.append({"image_id": image_id, "category_id": 1, "score": f.score, "segmentation": rle})
    return cases, annotations, results


def coco_ap(n_images: int, annotations: list, results: list) -> tuple[float, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(1, n_images + 1)],
            "categories": [{"id": 1, "name": "thing"}],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


@pytest.mark.parametrize("seed", range(8))
def test_ap_and_iou_equal_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cases, annotations, results = with_masks(rng, 12)
    ap, ap50 = coco_ap(12, annotations, results)
    assert average_precision(cases) == pytest.approx(ap, abs=1e-9)
    assert average_precision(cases, [0.5]) == pytest.approx(ap50, abs=1e-9)
    for image_id, case in enumerate(cases, 1):
        found = [r["segmentation"] for r in results if r["image_id"] == image_id]
        true = [a for a in annotations if a["image_id"] == image_id]
        if found:
            want = coco_mask.iou(found, [a["segmentation"] for a in true], [a["iscrowd"] for a in true])
            np.testing.assert_allclose(case.ious, want, atol=1e-12)


def published_saco(cases: list[Case]) -> tuple[float, float, float]:
    """cgF1, pmF1 and IL_MCC, written down from the formulas of the paper, pair by pair and threshold by threshold."""
    totals = np.zeros((len(IOU_THRESHOLDS), 3))
    confusion = dict.fromkeys(("tp", "tn", "fp", "fn"), 0)
    for case in cases:
        keep = case.scores >= 0.5
        n_found, n_true = int(keep.sum()), len(case.true_tracks)
        kind = {(True, True): "tp", (True, False): "fn", (False, True): "fp", (False, False): "tn"}
        confusion[kind[n_true > 0, n_found > 0]] += 1
        if not n_true:
            continue
        ious = case.ious[keep]
        pairs = linear_sum_assignment(-ious)
        for index, threshold in enumerate(IOU_THRESHOLDS):
            hits = int((ious[pairs] >= threshold).sum())
            totals[index] += hits, n_found - hits, n_true - hits
    tp, fp, fn = totals.T
    precision, recall = tp / (tp + fp + 1e-4), tp / (tp + fn + 1e-4)
    pmf1 = (2 * precision * recall / (precision + recall + 1e-4)).mean()
    c = confusion
    root = ((c["tp"] + c["fp"]) * (c["tp"] + c["fn"]) * (c["tn"] + c["fp"]) * (c["tn"] + c["fn"])) ** 0.5
    mcc = (c["tp"] * c["tn"] - c["fp"] * c["fn"]) / (root + 1e-6)
    return pmf1 * mcc, pmf1, mcc


@pytest.mark.parametrize("seed", range(8))
def test_saco_equals_published_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, i) for i in range(40)]
    scores = saco_scores(cases)
    assert (scores.cgf1, scores.pmf1, scores.il_mcc) == pytest.approx(published_saco(cases), abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_idf1_equals_trackeval(seed: int) -> None:
    trackeval_metrics = pytest.importorskip("trackeval.metrics")  # wants NumPy 2
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, i) for i in range(30)]
    true_ids = sorted({int(t) for c in cases for t in c.true_tracks})
    found_ids = sorted({int(t) for c in cases for t in c.found_tracks})
    data = {
        "num_gt_dets": sum(len(c.true_tracks) for c in cases),
        "num_tracker_dets": sum(len(c.found_tracks) for c in cases),
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(found_ids),
        "gt_ids": [np.array([true_ids.index(t) for t in c.true_tracks], int) for c in cases],
        "tracker_ids": [np.array([found_ids.index(t) for t in c.found_tracks], int) for c in cases],
        "similarity_scores": [c.ious.T for c in cases],
    }
    want = trackeval_metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    counts = count_identities(cases)
    assert counts == (want["IDTP"], want["IDFP"], want["IDFN"])
    assert counts.idf1 == pytest.approx(want["IDF1"])


def test_what_lies_in_a_crowd_counts_for_no_identity() -> None:
    """The things in a crowd region are not told apart, so whoever finds some is neither right nor wrong."""
    thing, crowd, stray = disc(15), disc(60, radius=14), disc(40)
    truth = [TrueInstance(thing, 1), TrueInstance(crowd, 0, crowd=True)]
    found = [FoundInstance(thing, 0.9, 7), FoundInstance(disc(60), 0.8, 8), FoundInstance(stray, 0.7, 9)]
    cases = [make_case(stamp, "", "ball", found, truth) for stamp in range(3)]
    assert count_identities(cases) == (3, 3, 0)  # the stray one is too many, the one in the crowd is not


def test_a_frame_of_crowds_alone_shows_the_phrase_or_not() -> None:
    thing, crowd = disc(15), TrueInstance(disc(60, radius=14), 0, crowd=True)
    inside, outside = FoundInstance(disc(60), 0.9, 1), FoundInstance(disc(30), 0.9, 2)
    alone = [make_case(0, "", "ball", found, [crowd]) for found in ([], [inside], [outside])]
    assert (saco_scores(alone).absent_frames, saco_scores(alone).absent_answered) == (0, 0)
    with_thing = make_case(0, "", "ball", [FoundInstance(thing, 0.9, 3), inside], [TrueInstance(thing, 1), crowd])
    without = make_case(0, "", "ball", [FoundInstance(thing, 0.9, 3)], [TrueInstance(thing, 1)])
    assert saco_scores([with_thing]).pmf1 == saco_scores([without]).pmf1 > 0.99


def slow_contour(mask: np.ndarray) -> np.ndarray:
    """The contour map, pixel by pixel."""
    out = np.zeros(mask.shape, bool)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            below, right = min(y + 1, HEIGHT - 1), min(x + 1, WIDTH - 1)
            out[y, x] = len({mask[y, x], mask[y, right], mask[below, x], mask[below, right]}) > 1
    return out


@pytest.mark.parametrize("seed", range(6))
def test_contour_f_equals_distances_to_the_other_contour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    center = rng.uniform(0, 60, 2)  # also over the image's edge
    a, b = blob(rng, tuple(center), 12), blob(rng, tuple(center + rng.normal(0, 2, 2)), 13)
    edge_a, edge_b = slow_contour(a.full()), slow_contour(b.full())
    radius = np.ceil(TOLERANCE * np.hypot(HEIGHT, WIDTH))
    precision = (distance_transform_edt(~edge_b)[edge_a] <= radius).mean()
    recall = (distance_transform_edt(~edge_a)[edge_b] <= radius).mean()
    assert contour_f(a, b) == pytest.approx(2 * precision * recall / (precision + recall))


EMPTY = Mask(0, 0, np.zeros((0, 0), np.uint8), (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("found", "truth", "want"),
    [(disc(30), disc(30), 1.0), (EMPTY, EMPTY, 1.0), (EMPTY, disc(30), 0.0), (disc(30), EMPTY, 0.0)],
)
def test_contour_f_at_the_ends(found: Mask, truth: Mask, want: float) -> None:
    assert contour_f(found, truth) == want


def test_worked_example() -> None:
    """Frame 1: both balls found. Frame 2: one of two, and one that is not there. Frame 3: nothing there, one found.
    Frame 4: nothing there, nothing found."""
    left, right, stray = disc(15), disc(60), disc(40)
    cases = [
        make_case(
            1,
            "",
            "ball",
            [FoundInstance(left, 0.9, 7, 0.0), FoundInstance(right, 0.8, 8, 40.0)],
            [TrueInstance(left, 1), TrueInstance(right, 2)],
        ),
        make_case(
            2,
            "",
            "ball",
            [FoundInstance(left, 0.9, 7, 0.0), FoundInstance(stray, 0.6, 8, 40.0)],
            [TrueInstance(left, 1), TrueInstance(right, 2)],
        ),
        make_case(3, "", "ball", [FoundInstance(stray, 0.7, 9, 3000.0)], []),
        make_case(4, "", "ball", [], []),
    ]
    scores = score(cases)
    d = scores.detection
    assert (d.true_positives, d.false_positives, d.false_negatives) == (3, 2, 1)
    assert (d.precision, d.recall, d.mean_iou) == (3 / 5, 3 / 4, 1.0)
    assert scores.saco.pmf1 == pytest.approx(0.75, abs=1e-4)  # frames 1 and 2: 3 right, 1 wrong, 1 missed
    assert scores.saco.il_mcc == pytest.approx((2 * 1 - 1 * 0) / (3 * 2 * 2 * 1) ** 0.5, abs=1e-6)
    assert scores.saco.cgf1 == scores.saco.pmf1 * scores.saco.il_mcc
    assert (scores.saco.false_positive_rate, scores.saco.absent_answered) == (0.5, 1)
    assert (scores.j, scores.f) == (0.75, 0.75)
    assert scores.identity == (3, 2, 1)
    assert scores.ages.counts == (2, 0, 2, 0, 0, 0, 0, 0, 1)


def test_undefined_measures_are_nan() -> None:
    present = [make_case(1, "", "ball", [FoundInstance(disc(20), 0.9)], [TrueInstance(disc(20))])]
    absent = [make_case(1, "", "ball", [], [])]
    assert np.isnan(score(present).saco.cgf1)  # no frame without the phrase: no correlation
    assert score(present).identity is None  # no track ids
    assert np.isnan(score(absent).ap)
    assert np.isnan(count_detections(absent).precision)
    assert np.isnan(age_histogram([]).p50_ms)
