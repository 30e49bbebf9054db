"""The answers in a bag: Segmentation messages as values, with the phrases that they speak of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from samlite_ros.bags.message_types import LABEL_INFO, SEGMENTATION, deserialize
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage
from samlite_ros.errors import BagError
from samlite_ros.masks import decode_rle, mask_from_array
from samlite_ros.message_fields import stamp_ns
from samlite_ros.query_requests import normalise_phrase
from samlite_ros.types import Instance, Query, QueryKey, QueryMatch, QueryResult, Segmentation


class Answer(NamedTuple):
    """One answer and when it was published [ns]."""

    segmentation: Segmentation
    published_ns: int


class ResultBag:
    """A bag with answers, of a replay or recorded live. A context manager.

    Args:
        path: The bag.

    Raises:
        BagError: No bag, or no Segmentation in it.
    """

    def __init__(self, path: Path | str) -> None:
        self.reader = BagReader(path)
        self.topics = sorted(t.name for t in self.reader.topics.values() if t.type_name == SEGMENTATION)
        if not sum(self.reader.topics[t].message_count for t in self.topics):
            there = ", ".join(f"{t.name} ({t.type_name})" for t in self.reader.topics.values()) or "none"
            self.reader.close()
            raise BagError(f"{path}: no {SEGMENTATION} message in it; topics in this bag: {there}")
        self._names = self._read_names()

    def answers(self) -> Iterator[Answer]:
        """All answers in the order in which they were published; a damaged one is noted as a fault and left out."""
        for message in self.reader.messages(self.topics):
            try:
                content = deserialize(message.data, SEGMENTATION)
                yield Answer(to_segmentation(content, self._names[message.topic]), message.log_time_ns)
            except (BagError, ValueError) as error:
                self.reader.add_fault(f"{self.reader.path}: {message.topic}: an answer is damaged: {error}")

    def __enter__(self) -> ResultBag:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()

    def _read_names(self) -> dict[str, ClassNames]:
        """Names of class ids for each Segmentation topic, from the LabelInfo beside it."""
        info_topic = {t.rpartition("/")[0] + "/label_info": t for t in self.topics}
        names = {t: ClassNames() for t in self.topics}
        for message in self.reader.messages([t for t in info_topic if t in self.reader.topics]):
            if message.type_name == LABEL_INFO:
                names[info_topic[message.topic]].add(_read_label_info(message))
        return names


class LabelInfo(NamedTuple):
    """From this stamp on [ns] the class ids have these phrases."""

    stamp_ns: int
    names: dict[int, str]


def _read_label_info(message: RawMessage) -> LabelInfo:
    content = deserialize(message.data, LABEL_INFO)
    return to_label_info(content)


def to_label_info(message: Any) -> LabelInfo:
    """The value of a vision_msgs/LabelInfo message."""
    return LabelInfo(
        stamp_ns(message.header.stamp), {int(c.class_id): normalise_phrase(c.class_name) for c in message.class_map}
    )


class ClassNames:
    """Which phrase a class id means at which time."""

    def __init__(self) -> None:
        self._infos: list[LabelInfo] = []

    def add(self, info: LabelInfo) -> None:
        """Add one more epoch, in any order."""
        self._infos.append(info)
        self._infos.sort(key=lambda i: i.stamp_ns)

    def at(self, stamp: int) -> dict[int, str]:
        """Phrases by class id at a stamp [ns]; before the first epoch those of the first."""
        if not self._infos:
            return {}
        return self._infos[max(bisect_right([i.stamp_ns for i in self._infos], stamp) - 1, 0)].names


def to_segmentation(message: Any, names: ClassNames) -> Segmentation:
    """The value of a Segmentation message; queries whose phrase nothing tells are named by their id.

    Raises:
        ValueError: The run lengths of a mask do not fit its size.
    """
    stamp = stamp_ns(message.header.stamp)
    phrases = names.at(stamp) | {
        int(m.class_id): normalise_phrase(m.text) for i in message.instances for m in i.matches if m.text
    }

    def query(part: Any) -> Query:
        class_id = int(part.class_id)
        phrase = phrases.get(class_id) or normalise_phrase(part.query_id)
        return Query(QueryKey(part.client, part.query_id), phrase, class_id, phrase)

    return Segmentation(
        stamp_ns=stamp,
        frame_id=message.header.frame_id,
        camera=message.camera,
        size=(int(message.height), int(message.width)),
        model_id=message.model_id,
        vocabulary_epoch=int(message.vocabulary_epoch),
        keyframe_stamp_ns=stamp_ns(message.keyframe_stamp),
        results=tuple(
            QueryResult(query(r), stamp_ns(r.keyframe_stamp), float(r.presence), int(r.count)) for r in message.results
        ),
        instances=tuple(
            _to_instance(i, tuple(QueryMatch(query(m), float(m.score)) for m in i.matches)) for i in message.instances
        ),
    )


def _to_instance(message: Any, matches: tuple[QueryMatch, ...]) -> Instance:
    center, box = message.box.center.position, message.box
    half_x, half_y = box.size_x / 2, box.size_y / 2
    return Instance(
        track_id=int(message.track_id),
        matches=matches,
        confidence=float(message.confidence),
        propagated=bool(message.propagated),
        keyframe_stamp_ns=stamp_ns(message.keyframe_stamp),
        box_xyxy=(center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y),
        mask=mask_from_array(decode_rle(message.counts, int(message.height), int(message.width))),
    )
