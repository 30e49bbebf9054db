"""What turns among many phrases cost: `decode_budget` against passes that decode all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from samlite_ros.bench.figures import Figure, row
from samlite_ros.network.local import LocalNetwork
from samlite_ros.scenes.sequence import Sequence as Rendered
from samlite_ros.scenes.sequence import SequenceOptions
from samlite_ros.scenes.vocabulary import COLOURS, SHAPES
from samlite_ros.segmenter.contract import Segmenter
from samlite_ros.streaming.budget import EVERY_PASS
from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame, Prompt, Query, QueryKey, Vocabulary

MIXES = {
    "4 of priority 3, 20 each of 2, 1, 0": (3,) * 4 + (2,) * 20 + (1,) * 20 + (0,) * 20,
    "16 each of 3, 2, 1, 0": (3, 2, 1, 0) * 16,
    "2 of 3, 10 of 2, 20 of 1, 32 of 0": (3,) * 2 + (2,) * 10 + (1,) * 20 + (0,) * 32,
    "1 each of 3, 2, 1, 61 of 0": (3, 2, 1) + (0,) * 61,
    "100: 6 of 3, 20 of 2, 30 of 1, 44 of 0": (3,) * 6 + (2,) * 20 + (1,) * 30 + (0,) * 44,
}
"""Priorities by name; of 64 phrases where nothing else is said."""
CASES = [(budget_s, mix) for mix in MIXES for budget_s in (0.04, 0.02)]
"""Budget [s], name of the mix."""
PASSES, WARM_UP, EVERYTHING, DRAWS = 66, 6, 4, 4
"""Passes of a draw; those of them that do not count; every so many passes one decodes all phrases; draws."""
SEED, THINGS = 11, 5
UNKNOWN_THINGS = ("mug", "chair", "sign", "door", "lamp", "bottle", "shelf", "wheel", "bucket")


def many_phrases(priorities: Sequence[int], seed: int) -> Vocabulary:
    """As many phrases: coloured things that the demo network knows, and as many or more that it does not.

    Args:
        priorities: Of the phrases; who has which is drawn: a phrase that is there costs more than one that is not.
        seed: Of that.
    """
    texts = [f"{colour} {thing}" for thing in (*SHAPES, *UNKNOWN_THINGS) for colour in COLOURS][: len(priorities)]
    drawn = np.random.default_rng(seed).permutation(priorities).tolist()
    queries = [
        Query(QueryKey("bench", text), Prompt(text), number, priority=priority)
        for number, (text, priority) in enumerate(zip(texts, drawn, strict=True))
    ]
    return Vocabulary(1, tuple(queries))


@dataclass
class Side:
    """A pipeline with the network in its loop. Costs are the processor's time: others may use the machine meanwhile.

    Args:
        pipeline: Of one camera.
        network: Of both sides.
        decode_s: What decoding took in each pass [s].
        image_s: What embedding the image took [s].
        plan_s: What choosing the phrases and taking the results over took [s].
        decoded: The jobs.
        cost_s: Of each prompt what its decoding took [s].
    """

    pipeline: StreamingPipeline
    network: LocalNetwork
    decode_s: list[float] = field(default_factory=list)
    image_s: list[float] = field(default_factory=list)
    plan_s: list[float] = field(default_factory=list)
    decoded: list[KeyframeJob] = field(default_factory=list)
    cost_s: dict[Prompt, list[float]] = field(default_factory=dict)

    def pass_over(self, frame: Frame) -> None:
        """Answer a frame with a pass over it; late jobs are left alone, so that every phrase waits for its turn."""
        self.pipeline.step(frame)
        began_s = time.process_time()
        job = self.pipeline.take_job()
        planned_s = time.process_time()
        if job is None or job.late:
            return
        image = self.network.search(job.frame, (), ()).image
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        self.image_s.append(cpu_s - planned_s)
        found = self.network.decode(image, job.prompts, job.options)
        took_s = time.process_time() - cpu_s
        share = took_s / (time.perf_counter() - wall_s)
        results = tuple(replace(result, decode_s=share * result.decode_s) for result in found.results)
        self.pipeline.deliver(KeyframeResult(job, results, self.network.model_id))
        for result in results:
            self.cost_s.setdefault(result.prompt, []).append(result.decode_s)
        self.decode_s.append(took_s)
        self.plan_s.append(planned_s - began_s)
        self.decoded.append(job)

    def forget(self) -> None:
        """The first passes do not count."""
        self.decode_s, self.image_s, self.plan_s, self.decoded, self.cost_s = [], [], [], [], {}

    @property
    def phrases_a_s(self) -> float:
        """Phrases decoded in a second of decoding [Hz]."""
        return sum(len(job.prompts) for job in self.decoded) / sum(self.decode_s)

    @property
    def phrases_a_s_with_image(self) -> float:
        """The same in a second of the network, images included [Hz]."""
        return self.phrases_a_s * sum(self.decode_s) / (sum(self.decode_s) + sum(self.image_s))

    def expected_s(self, other: Side) -> float:
        """What decoding these phrases would have taken at what each took on another side [s]."""
        usual_s = {prompt: float(np.mean(costs_s)) for prompt, costs_s in other.cost_s.items()}
        return sum(usual_s[prompt] for job in self.decoded for prompt in job.prompts)


class Draw:
    """One draw of who has which priority, on a sequence of its own.

    Args:
        segmenter: Of both sides, which take turns.
        priorities: Of the phrases.
        budget_s: What a pass of the one side may take for decoding [s].
        passes: Of that side.
        seed: Of the draw.
    """

    def __init__(
        self, segmenter: Segmenter, priorities: Sequence[int], budget_s: float, passes: int, seed: int
    ) -> None:
        vocabulary, network = many_phrases(priorities, seed), LocalNetwork(segmenter)
        self.waits = Waits(vocabulary)
        self.budgeted, self.everything = (_side(network, b, vocabulary) for b in (budget_s, 0.0))
        rendered = Rendered("cross", seed, SequenceOptions(frames=passes, count=THINGS))
        for number in range(passes):
            self._pass_over(Frame(rendered[number].image, rendered[number].stamp_ns), number)

    def _pass_over(self, frame: Frame, number: int) -> None:
        self.budgeted.pass_over(frame)
        if number % EVERYTHING == 0:
            self.everything.pass_over(frame)
        if number > WARM_UP:
            self.waits.note(self.budgeted)
        if number == WARM_UP:
            self.budgeted.forget()
            self.everything.forget()

    @property
    def gains(self) -> tuple[float, float, float]:
        """Phrases decoded in a second of decoding against all in each pass; the same if each phrase counts as much as
        it costs there; the same as the first with the images' time."""
        budgeted, everything = self.budgeted, self.everything
        return (
            budgeted.phrases_a_s / everything.phrases_a_s,
            budgeted.expected_s(everything) / sum(budgeted.decode_s),
            budgeted.phrases_a_s_with_image / everything.phrases_a_s_with_image,
        )


def turns(segmenter: Segmenter, mix: str, budget_s: float, passes: int = PASSES, draws: int = DRAWS) -> list[Figure]:
    """Many phrases with a budget, and in turns with it all phrases in each pass.

    Returns:
        One row: phrases a pass, decoding p50 and p95 [ms], planning p50 [ms], for each priority the longest wait and
        the longest that was stated [passes], waits longer than stated, passes without a phrase of priority 3, and
        phrases decoded in a second of decoding against all in each pass [times], mean, least and most of the draws;
        the mean if each phrase counts as much as it costs there, and the mean with the images' time.
    """
    drawn = [Draw(segmenter, MIXES[mix], budget_s, passes, SEED + number) for number in range(draws)]
    budgeted, everything = [draw.budgeted for draw in drawn], [draw.everything for draw in drawn]
    gains = np.array([draw.gains for draw in drawn])  # (draws, 3)

    def each(name: str, sides: Sequence[Side]) -> list[float]:
        return [1e3 * value for side in sides for value in getattr(side, name)]

    values = {
        "phrases a pass": float(np.mean([len(job.prompts) for side in budgeted for job in side.decoded])),
        "decoding p50 [ms]": float(np.median(each("decode_s", budgeted))),
        "decoding p95 [ms]": float(np.percentile(each("decode_s", budgeted), 95)),
        "all phrases p50 [ms]": float(np.median(each("decode_s", everything))),
        "planning p50 [ms]": float(np.median(each("plan_s", budgeted))),
        "without a budget p50 [ms]": float(np.median(each("plan_s", everything))),
        **columns([draw.waits for draw in drawn]),
        "longer than stated": sum(draw.waits.too_long for draw in drawn),
        "passes without a phrase of priority 3": sum(draw.waits.incomplete for draw in drawn),
        "throughput against all in each pass": float(gains[:, 0].mean()),
        "least": float(gains[:, 0].min()),
        "most": float(gains[:, 0].max()),
        "of the same phrases": float(gains[:, 1].mean()),
        "with images": float(gains[:, 2].mean()),
    }
    return row(f"budget of {1e3 * budget_s:g} ms/{mix}", values)


def _side(network: LocalNetwork, budget_s: float, vocabulary: Vocabulary) -> Side:
    pipeline = StreamingPipeline(StreamingOptions(propagate=True, decode_budget_s=budget_s))
    pipeline.set_vocabulary(vocabulary)
    return Side(pipeline, network)


class Waits:
    """How long phrases wait for their turn, beside what was stated [passes].

    Args:
        vocabulary: Of the phrases.

    Attributes:
        longest, stated: By priority the longest wait, and the longest that was stated.
        too_long: Waits longer than stated.
        incomplete: Passes without one of those that are in every pass.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.too_long = self.incomplete = 0
        self._priority = {query.prompt: query.priority for query in vocabulary.queries}
        self._waited = dict.fromkeys(self._priority, 0)
        self._stated = dict.fromkeys(self._priority, 0)
        self.longest: dict[int, int] = {}
        self.stated: dict[int, int] = {}

    def note(self, side: Side) -> None:
        """A pass was made."""
        decoded = set(side.decoded[-1].prompts) if side.decoded else set()
        self.incomplete += any(p not in decoded for p, priority in self._priority.items() if priority >= EVERY_PASS)
        for prompt, priority in self._priority.items():
            self._waited[prompt] += 1
            self._stated[prompt] = max(self._stated[prompt], side.pipeline.turns[prompt].passes)
            self.too_long += self._waited[prompt] > self._stated[prompt]
            self.longest[priority] = max(self.longest.get(priority, 0), self._waited[prompt])
            self.stated[priority] = max(self.stated.get(priority, 0), self._stated[prompt])
            if prompt in decoded:
                self._waited[prompt] = self._stated[prompt] = 0


def columns(waits: Sequence[Waits]) -> dict[str, float]:
    """By priority the longest wait and the longest that was stated."""
    return {
        f"priority {p}: {what}": float(max(of[p] for of in each))
        for p in sorted(waits[0].longest, reverse=True)
        for what, each in (("longest wait", [w.longest for w in waits]), ("stated", [w.stated for w in waits]))
    }
