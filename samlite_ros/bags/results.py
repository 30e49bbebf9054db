"""The answers in a bag: Segmentation messages as values, with the phrases that they speak of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from samlite_ros.bags.message_types import LABEL_INFO, SEGMENTATION, deserialize, recorded_types, typestore
from samlite_ros.bags.reader import BagReader
from samlite_ros.errors import BagError
from samlite_ros.foreign.stamps import read_stamp_ns
from samlite_ros.foreign.words import one_line
from samlite_ros.messages.read import read_segmentation
from samlite_ros.queries import normalise_phrase
from samlite_ros.types import Prompt, Query, Segmentation


class FrameKey(NamedTuple):
    """Which image: the camera's name, '' where there is one, and the stamp [ns]."""

    camera: str
    stamp_ns: int


class RecordedAnswer(NamedTuple):
    """One answer and when it was published [ns]."""

    segmentation: Segmentation
    published_ns: int


class ResultBag:
    """A bag with answers, of a replay or recorded live. A context manager.

    Args:
        path: The bag.

    Raises:
        BagError: No bag, no Segmentation in it, or none of any version of the package.
    """

    def __init__(self, path: Path | str) -> None:
        self.reader = BagReader(path)
        self.topics = sorted(t.name for t in self.reader.topics.values() if t.type_name == SEGMENTATION)
        if not sum(self.reader.topics[t].message_count for t in self.topics):
            self.reader.close()
            raise BagError(f"{path}: no {SEGMENTATION} message in it; {self.reader.listing}")
        self._check_version()
        self._names = self._read_names()

    def answers(self) -> Iterator[RecordedAnswer]:
        """All answers in the order in which they were published; a damaged one is noted as a fault and left out."""
        for message in self.reader.messages(self.topics):
            try:
                content = deserialize(message.data, SEGMENTATION, message.definition)
                answer = name_phrases(read_segmentation(content), self._names[message.topic])
            except (BagError, ValueError) as error:
                self.reader.add_fault(f"{self.reader.path}: {message.topic}: an answer is damaged: {one_line(error)}")
                continue
            yield RecordedAnswer(answer, message.log_time_ns)

    def __enter__(self) -> ResultBag:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()

    def _check_version(self) -> None:
        ours = typestore().hash_rihs01(SEGMENTATION)
        for topic in (self.reader.topics[name] for name in self.topics):
            is_ours = topic.type_hash in ("", ours)
            if not is_ours and recorded_types(SEGMENTATION, topic.definition) is None:
                self.reader.close()
                raise BagError(
                    f"{self.reader.path}: {topic.name} is of another version of {SEGMENTATION}: replay again"
                )

    def _read_names(self) -> dict[str, ClassNames]:
        """Names of class ids for each Segmentation topic, from the LabelInfo beside it."""
        info_topic = {t.rpartition("/")[0] + "/label_info": t for t in self.topics}
        names = {t: ClassNames() for t in self.topics}
        for message in self.reader.messages([t for t in info_topic if t in self.reader.topics]):
            if message.type_name == LABEL_INFO:
                try:
                    info = to_label_info(deserialize(message.data, LABEL_INFO, message.definition))
                except (BagError, ValueError) as error:
                    self.reader.add_fault(f"{self.reader.path}: {message.topic}: names are damaged: {one_line(error)}")
                    continue
                names[info_topic[message.topic]].add(info)
        return names


class LabelInfo(NamedTuple):
    """From this stamp on [ns] the class ids have these phrases."""

    stamp_ns: int
    names: dict[int, str]


def to_label_info(message: Any) -> LabelInfo:
    """The value of a vision_msgs/LabelInfo message."""
    return LabelInfo(
        read_stamp_ns(message.header.stamp),
        {int(c.class_id): normalise_phrase(c.class_name) for c in message.class_map},
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


def name_phrases(answer: Segmentation, names: ClassNames) -> Segmentation:
    """Give each query of an answer from a bag its phrase, which the message itself tells only of what was found.

    Args:
        answer: As it was read.
        names: From LabelInfo; where they do not know a class id, the text of a match or the query's id stands for it.
    """
    phrases = {m.query.class_id: normalise_phrase(m.query.text) for i in answer.instances for m in i.matches}
    phrases |= names.at(answer.stamp_ns)

    def named(query: Query) -> Query:
        phrase = phrases.get(query.class_id) or normalise_phrase(query.key.id)
        return replace(query, prompt=Prompt(phrase), text=query.text or phrase)

    return replace(
        answer,
        results=tuple(replace(r, query=named(r.query)) for r in answer.results),
        instances=tuple(
            replace(i, matches=tuple(replace(m, query=named(m.query)) for m in i.matches)) for i in answer.instances
        ),
    )


def find_answers(result: Path, wanted: Sequence[FrameKey]) -> dict[FrameKey, Segmentation]:
    """The answers to chosen frames."""
    keys = set(wanted)
    with ResultBag(result) as bag:
        found = ((FrameKey(a.camera, a.stamp_ns), a) for a, _ in bag.answers())
        return {key: answer for key, answer in found if key in keys}
