"""Truth of every kind says the same; truth with something wrong is refused in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask as coco_mask
import pytest
from bag_world import (
    COLOURS,
    SIZE,
    Recording,
    coco_truth,
    draw_world,
    patches_of,
    stamp_of,
)
from judged_replays import NUMBERS, dump, overall

from samlite_ros.bags.message_types import BAG_MESSAGES, IMAGE, LABEL_INFO
from samlite_ros.bags.writer import BagWriter
from samlite_ros.errors import BagError
from samlite_ros.evaluation.evaluate import evaluate_bag
from samlite_ros.evaluation.truth.truth import _image_stamp_ns
from samlite_ros.messages.fill import image_message, label_info_message
from samlite_ros.types import Prompt, Query, QueryKey, Vocabulary


def per_stamp_files(folder: Path) -> Path:
    whole = coco_truth()
    folder.mkdir()
    for image in whole["images"]:
        annotations = [a for a in whole["annotations"] if a["image_id"] == image["id"]]
        named = {"id": image["id"], "height": image["height"], "width": image["width"]}
        part = {"images": [named], "categories": whole["categories"], "annotations": annotations}
        (folder / f"{image['stamp_ns']}.json").write_text(json.dumps(part))
    return folder


def with_stamp_as_in_messages(folder: Path) -> Path:
    whole = coco_truth()
    for image in whole["images"]:
        sec, nanosec = divmod(image.pop("stamp_ns"), 10**9)
        image["stamp"] = {"sec": sec, "nanosec": nanosec}
    return dump(folder, whole)


def with_file_names(folder: Path) -> Path:
    whole = coco_truth()
    for image in whole["images"]:
        image["file_name"] = f"images/{image.pop('stamp_ns')}.png"
    return dump(folder, whole)


def with_compressed_runs(folder: Path) -> Path:
    whole = coco_truth()
    for annotation in whole["annotations"]:
        compressed = coco_mask.frPyObjects(annotation["segmentation"], *SIZE)
        annotation["segmentation"] = {"size": list(SIZE), "counts": compressed["counts"].decode()}
    return dump(folder, whole)


def with_polygons(folder: Path) -> Path:
    whole = coco_truth()
    for annotation in whole["annotations"]:
        pixels = coco_mask.decode(coco_mask.frPyObjects(annotation["segmentation"], *SIZE))
        x, y, w, h = cv2.boundingRect(pixels)
        annotation["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return dump(folder, whole)


def with_one_flat_polygon(folder: Path) -> Path:
    whole = json.loads(with_polygons(folder).read_text())
    for annotation in whole["annotations"]:
        (annotation["segmentation"],) = annotation["segmentation"]
    return dump(folder, whole)


def with_categories_from_0(folder: Path) -> Path:
    whole = coco_truth()
    for item, name in [(c, "id") for c in whole["categories"]] + [(a, "category_id") for a in whole["annotations"]]:
        item[name] -= 1
    return dump(folder, whole)


def with_byte_order_mark(folder: Path) -> Path:
    path = folder.with_suffix(".JSON")
    path.write_text(json.dumps(coco_truth()), encoding="utf-8-sig")
    return path


def in_utf_16(folder: Path) -> Path:
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(coco_truth()), encoding="utf-16")
    return path


def with_file_names_like(pattern: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        whole = coco_truth()
        for image in whole["images"]:
            stamp = image.pop("stamp_ns")
            image["file_name"] = pattern.format(stamp=stamp, s=stamp // 10**9, ns=stamp % 10**9)
            image["camera"] = None
        return dump(folder, whole)

    return write


def label_bag(folder: Path) -> Path:
    queries = tuple(Query(QueryKey("t", c), Prompt(f"{c} thing"), n) for n, c in enumerate(COLOURS))
    with BagWriter(folder) as bag:
        bag.add_topic("/truth/label_image", IMAGE)
        bag.add_topic("/truth/label_info", LABEL_INFO)
        bag.write(
            "/truth/label_info", stamp_of(0), label_info_message(BAG_MESSAGES, Vocabulary(1, queries), stamp_of(0))
        )
        for index in range(10):
            labels = np.full(SIZE, 255, np.uint8)
            for number, colour in enumerate(COLOURS.values()):
                for mask in patches_of(draw_world(index), colour):
                    labels[mask.full()] = number
            message = image_message(BAG_MESSAGES, labels, "mono8", stamp_of(index), "")
            bag.write("/truth/label_image", stamp_of(index), message)
    return folder


@pytest.mark.parametrize(
    "make",
    [
        per_stamp_files,
        with_stamp_as_in_messages,
        with_file_names,
        with_file_names_like("/home/me/frames/{stamp}.png"),
        with_file_names_like(r"C:\\frames\\{stamp}.png"),
        with_file_names_like("/data/front_{stamp}_rgb.png"),
        with_file_names_like("front_{s}.{ns:09d}.png"),
        with_file_names_like("{s}-{ns:09d}.jpg"),
        with_compressed_runs,
        with_polygons,
        with_one_flat_polygon,
        with_categories_from_0,
        with_byte_order_mark,
        in_utf_16,
        label_bag,
    ],
)
def test_truth_of_every_kind_says_the_same(
    results: dict[str, Path], tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    verdict = evaluate_bag(results["exact"], make(tmp_path / "truth"), NUMBERS)
    assert (overall(verdict)["recall"], overall(verdict)["precision"]) == (1, 1)
    assert overall(verdict)["mean_iou"] == pytest.approx(1, abs=1e-6)
    assert overall(verdict)["absent_frames"] == 15


def test_a_trusted_result_is_truth_too(results: dict[str, Path]) -> None:
    verdict = evaluate_bag(results["late"], results["exact"], NUMBERS)
    assert overall(verdict)["precision"] == 1
    assert verdict.content["truth_frames"] == 10


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "there is no categories, expected a list of objects with id, name"),
        ("[1, 2]", r"the file holds \[1, 2\], expected an object with categories, images, annotations"),
        ('{"version": "5.4.1", "shapes": [], "imagePath": "a.png"}', "it is what LabelMe writes for one image"),
        ('{"categories": [7]}', r"categories\[0\] is 7, expected an object with id, name"),
        (
            '{"categories": [], "images": {}}',
            "images is a dict of 0, expected a list of objects with id, height, width",
        ),
        ('{"categories": [], "images": [{"id": 1}]}', r"images\[0\] has no height, width"),
        ("no json", "not COCO instances"),
        (json.dumps({**coco_truth(), "images": [{"id": 1, "height": 2, "width": 2}]}), "neither stamp_ns nor stamp"),
        (json.dumps({"images": [], "categories": [], "annotations": []}), "no image in it"),
        (
            json.dumps({**coco_truth(), "categories": [{"id": n, "name": f"car {n}"} for n in range(1, 5)]}),
            "none is in both",
        ),
    ],
)
def test_truth_that_cannot_be_used_is_refused(
    results: dict[str, Path], tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "truth.json").write_text(content)
    with pytest.raises(BagError, match=words):
        evaluate_bag(results["exact"], tmp_path / "truth.json", NUMBERS)


def annotation(**changes: object) -> Callable[[dict], None]:
    return lambda content: content["annotations"][0].update(changes)


def image(**changes: object) -> Callable[[dict], None]:
    return lambda content: content["images"][3].update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (annotation(segmentation=[[1, 1, 5, 5]]), "annotation 1: a polygon is x, y of at least three points"),
        (annotation(segmentation=[[1, 1, 5, 5, 9, 1, 3]]), "at least three points"),
        (annotation(segmentation=[["a"] * 6]), "at least three points"),
        (annotation(segmentation=[[math.nan] * 6]), "NaN is no number in JSON"),
        (annotation(segmentation=[]), "annotation 1: an empty list of polygons"),
        (annotation(segmentation=None), "annotation 1: a segmentation is run lengths or polygons, got None"),
        (annotation(segmentation={"size": list(SIZE)}), "a segmentation is run lengths or polygons"),
        (annotation(segmentation={"counts": [1, 2]}), "annotation 1: run lengths sum to 3"),
        (annotation(segmentation={"counts": ["a"]}), "annotation 1: a run of 'a' pixels"),
        (annotation(segmentation={"counts": "garbage~"}), "compressed run lengths that cannot be read"),
        (annotation(segmentation={"size": [10, 10], "counts": "T3"}), r"run lengths of size \[10, 10\], the image is"),
        (annotation(category_id=77), "annotation 1 has the category_id 77, which there is not"),
        (annotation(image_id=77), "annotation 1 has the image_id 77, which there is not"),
        (annotation(track_id=[1]), r"annotation 1 has the track id \[1\]: neither number nor name"),
        (annotation(attributes={"Track ID": 1.5}, track_id=None), "annotation 1 has the track id 1.5: neither"),
        (image(id=1), "the id 1 stands for several images"),
        (lambda content: content["categories"][0].update(id=2), "the id 2 stands for several categories"),
        (image(height=90), "truth of stamp .* is of size"),
        (image(stamp_ns=1.7e18), "image 4: a float such as 1.7e\\+18 holds no stamp to the ns"),
        (image(stamp_ns="soon"), "invalid literal"),
        (image(stamp_ns=stamp_of(2), height=90), "two images of stamp"),
        (lambda content: content.update(images=5), "not COCO instances with stamps"),
        (lambda content: [i.update(camera="rl"[n % 2]) for n, i in enumerate(content["images"])],
         r"truth is of the cameras \['l', 'r'\], the answers are of \[''\]"),
    ],
)  # fmt: skip
def test_truth_with_one_thing_wrong_is_refused_in_words(
    results: dict[str, Path], tmp_path: Path, change: Callable[[dict], None], words: str
) -> None:
    content = coco_truth()
    change(content)
    with pytest.raises(BagError, match=words) as refused:
        evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert str(tmp_path / "truth.json") in str(refused.value) or "truth of stamp" in words or "cameras" in words


def test_truth_with_an_image_per_phrase_is_one_frame(results: dict[str, Path], tmp_path: Path) -> None:
    """As SA-Co writes it: each image is about one phrase."""
    content = coco_truth()
    for place, a in enumerate(content["annotations"]):
        about = dict(next(i for i in content["images"] if i["id"] == a["image_id"]), id=1000 + place)
        content["images"].append(about)
        a["image_id"] = about["id"]
    verdict = evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert (overall(verdict)["recall"], overall(verdict)["precision"]) == (1, 1)
    assert verdict.content["truth_frames"] == 10


def test_truth_and_result_need_not_know_the_same_frames(results: dict[str, Path], tmp_path: Path) -> None:
    content = coco_truth()
    content["images"] = [{**i, "stamp_ns": i["stamp_ns"] + 5 * (stamp_of(1) - stamp_of(0))} for i in content["images"]]
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] == 3]  # blue, which was not asked
    content["categories"].append({"id": 5, "name": "yellow thing"})
    verdict = evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert (verdict.content["truth_frames"], verdict.content["answered_frames"]) == (10, 5)
    assert overall(verdict)["answered"] == 0.5
    assert overall(verdict)["absent_frames"] == 15  # red, green, yellow in the five frames that both know
    assert overall(verdict)["absent_answered"] == 10  # red and green are in them


def test_truth_of_other_stamps_is_refused(results: dict[str, Path], tmp_path: Path) -> None:
    content = coco_truth()
    for image in content["images"]:
        image["stamp_ns"] += 7
    (tmp_path / "truth.json").write_text(json.dumps(content))
    with pytest.raises(BagError, match="no answer has a stamp that truth knows"):
        evaluate_bag(results["exact"], tmp_path / "truth.json", NUMBERS)


def test_bag_that_is_no_truth_is_refused(results: dict[str, Path], recording: Recording) -> None:
    with pytest.raises(BagError, match="neither label images with LabelInfo nor Segmentation"):
        evaluate_bag(results["exact"], recording.path, NUMBERS)


def tracks(*ids: object, field: str = "track_id", nested: bool = False) -> Callable[[dict], None]:
    """Write one id for each phrase, as labelling tools do; the id in place stands for the phrase."""

    def change(content: dict) -> None:
        for item in content["annotations"]:
            name = ids[item.pop("track_id") - 1]
            item.update({"attributes": {field: name, "occluded": False}} if nested else {field: name})

    return change


@pytest.mark.parametrize(
    "change",
    [
        tracks(1, 2, 3, 4),
        tracks(0, 1, 2, 3),
        tracks("car-1", "car-2", "7", "b"),
        tracks(1.0, 2.0, 3.0, 4.0),
        tracks(7, 8, 9, 10, nested=True),
        tracks(0, 1, 2, 3, field="Track ID", nested=True),
        tracks("a", "b", "c", "d", field="instance_id"),
        tracks(5, 6, 7, 8, field="object_id"),
    ],
)
def test_track_ids_are_found_where_tools_write_them(
    results: dict[str, Path], tmp_path: Path, change: Callable[[dict], None]
) -> None:
    content = coco_truth()
    expected = overall(evaluate_bag(results["carried"], dump(tmp_path / "plain", content), NUMBERS))["idf1"]
    change(content)
    verdict = evaluate_bag(results["carried"], dump(tmp_path / "truth", content), NUMBERS)
    assert overall(verdict)["idf1"] == expected is not None
    assert not verdict.content["notes"]


@pytest.mark.parametrize("change", [tracks(0, 0, 0, 0), tracks(None, None, None, None), tracks(1, 2, 3, 4, field="no")])
def test_where_no_track_ids_are_it_is_said(
    results: dict[str, Path], tmp_path: Path, change: Callable[[dict], None]
) -> None:
    content = coco_truth()
    change(content)
    verdict = evaluate_bag(results["carried"], dump(tmp_path / "truth", content), NUMBERS)
    assert overall(verdict)["idf1"] is None
    assert verdict.content["notes"] == [
        "idf1 is not defined: truth has no track ids (track_id, instance_id, tracking_id, tracklet_id or object_id, of "
        "an annotation or in its attributes)"
    ]


def test_where_the_answers_have_no_tracks_it_is_said(results: dict[str, Path], tmp_path: Path) -> None:
    verdict = evaluate_bag(results["exact"], dump(tmp_path / "truth", coco_truth()), NUMBERS)
    assert verdict.content["notes"] == ["idf1 is not defined: the answers have no track ids"]


def test_crowd_regions_as_text_and_images_without_annotations(results: dict[str, Path], tmp_path: Path) -> None:
    content = coco_truth()
    for item in content["annotations"]:
        item["iscrowd"] = "0"
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 4]
    verdict = evaluate_bag(results["exact"], dump(tmp_path / "truth", content), NUMBERS)
    assert overall(verdict)["recall"] == 1
    assert overall(verdict)["precision"] < 1
    assert verdict.content["truth_frames"] == 10


@pytest.mark.parametrize(
    ("name", "stamp_ns"),
    [
        ("1700000000123456789", 1_700_000_000_123_456_789),
        ("17", 17),
        ("front_1700000000123456789_rgb", 1_700_000_000_123_456_789),
        ("1700000000.000000005", 1_700_000_000_000_000_005),
        ("front-12.500000000", 12_500_000_000),
        ("cam1_000000012", None),
        ("202311142213201234_a", None),
        ("frame 12", None),
    ],
)
def test_stamps_within_file_names(name: str, stamp_ns: int | None) -> None:
    image = {"id": 1, "file_name": f"/data/{name}.png"}
    if stamp_ns is None:
        with pytest.raises(ValueError, match="image 1 has neither stamp_ns nor"):
            _image_stamp_ns(image, "truth")
    else:
        assert _image_stamp_ns(image, "truth") == stamp_ns
