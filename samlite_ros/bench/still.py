"""A still scene: how rarely the network runs, and what a frame costs then."""

from __future__ import annotations

from collections.abc import Sequence

from samlite_ros.bench.figures import Figure, derived
from samlite_ros.bench.timing import measure
from samlite_ros.bench.workload import phrases
from samlite_ros.scenes.sequence import Sequence as SceneSequence
from samlite_ros.scenes.sequence import SequenceOptions
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.types import Frame, Prompt, Query, QueryKey, Segmenter, Vocabulary

FRAMES = 60


def still_frames(count: int = FRAMES) -> list[Frame]:
    """A rendered scene in which nothing moves, with a sensor's noise, 30 Hz, 640x480."""
    scenes = SceneSequence("still", 2, SequenceOptions(frames=count))
    return [Frame(scene.image, scene.stamp_ns) for scene in scenes]


def measure_still(model: str, segmenter: Segmenter, frames: Sequence[Frame], phrase_count: int = 1) -> list[Figure]:
    """Answer every frame, the network's passes included, and say what a frame took.

    Args:
        model: Row of the table.
        segmenter: The network.
        frames: Of a still camera.
        phrase_count: Number of standing queries.
    """
    names = phrases(phrase_count)
    vocabulary = Vocabulary(1, tuple(Query(QueryKey("bench", n), Prompt(n), i) for i, n in enumerate(names)))
    pipeline = StreamingPipeline(StreamingOptions(propagate=True))
    pipeline.set_vocabulary(vocabulary)

    def answer_all() -> None:
        for frame in frames:
            pipeline.step(frame)
            run_job(pipeline, segmenter)

    sample = measure(answer_all)
    counters = pipeline.counters
    name = f"still scene/{model}, {phrase_count} phrase"
    return [
        derived(f"{name}/frames", "", counters.frames),
        derived(f"{name}/image passes", "", counters.keyframes),
        derived(f"{name}/mean time per frame", "ms", 1e3 * sample.wall_s / len(frames)),
        derived(f"{name}/mean CPU time per frame", "ms", 1e3 * sample.cpu_s / len(frames)),
    ]


def run_job(pipeline: StreamingPipeline, segmenter: Segmenter) -> None:
    """Let the network do what the pipeline wants done, at once."""
    job = pipeline.take_job()
    if job is None:
        return
    image = segmenter.embed_image(job.frame)
    results = segmenter.segment(image, segmenter.embed_prompts(job.prompts), job.options)
    pipeline.deliver(KeyframeResult(job, tuple(results), segmenter.model_id))
