"""The golden result: what the demo checkpoint finds in a small made bag. Run it to make it anew: python golden.py

When a change of the network or of the scenes is meant, make it anew and look at what changed before committing it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import samlite_ros
from samlite_ros.bags.frames import choose_image_topics, read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ResultBag
from samlite_ros.demo.make_bag import MadeBag, make_bag
from samlite_ros.parameters.table import Parameters
from samlite_ros.pixels.masks import encode_rle
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.scenes import SequenceOptions
from samlite_ros.segmenter.load import load_segmenter

PATH = Path(__file__).with_name("golden.json")
BAG = MadeBag(kind="fly", seed=1, scenes=SequenceOptions(size=(240, 320), rate_hz=2.0, frames=6))
PHRASES = ("green cone", "red box", "cyan ball", "red ball")


def make_result(folder: Path) -> Path:
    """Make the bag and replay it, every frame a keyframe; returns the bag with the answers."""
    make_bag(folder / "in", BAG)
    parameters = Parameters(propagate=False, device="cpu", dtype="float32")
    options = ReplayOptions(phrases=PHRASES, parameters=parameters, result=ResultOptions(timeline=False))
    replay(folder / "in", folder / "out", options, load_segmenter(parameters.segmenter_options()))
    return folder / "out"


def checkpoint_hash() -> str:
    """Of the weights that the golden result was made with."""
    weights = Path(samlite_ros.__file__).parent / "models" / "demo" / "model.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]


def picture_means(folder: Path) -> list[float]:
    """Mean of all values of each picture of the made bag."""
    with BagReader(folder / "in") as reader:
        cameras = choose_image_topics(reader, [])
        frames = read_frames(reader, index_bag(reader, list(cameras)), cameras)
        return [round(float(f.frame.image.mean()), 3) for f in frames if f.frame is not None]


def to_coco(result: Path) -> dict:
    """A result as COCO instances, which `samlite evaluate` takes for truth."""
    images, annotations = [], []
    with ResultBag(result) as bag:
        for image_id, (answer, _) in enumerate(bag.answers(), 1):
            height, width = answer.size
            images.append({"id": image_id, "stamp_ns": answer.stamp_ns, "height": height, "width": width})
            for instance in answer.instances:
                (match,) = instance.matches
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": PHRASES.index(match.query.prompt.display) + 1,
                        "score": round(match.score, 4),
                        "segmentation": {"size": [height, width], "counts": encode_rle(instance.mask).tolist()},
                    }
                )
    categories = [{"id": number, "name": phrase} for number, phrase in enumerate(PHRASES, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}


def main() -> int:
    """Write the golden result."""
    with tempfile.TemporaryDirectory() as folder:
        coco = to_coco(make_result(Path(folder)))
        content = {"checkpoint": checkpoint_hash(), "picture_means": picture_means(Path(folder)), **coco}
    PATH.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
