"""The constants of carrying masks, all in one value: what each means and what turning it does stands in its group."""

from __future__ import annotations

from dataclasses import dataclass, field

from samlite_ros.streaming.tuning.carry import (
    AssociationTuning,
    CompositingTuning,
    DetectionTuning,
    InitialPoseTuning,
    ModelUpdateTuning,
    ReidentificationTuning,
    TrackingTuning,
    TrackLifeTuning,
)
from samlite_ros.streaming.tuning.image import ChangeTuning, ImageTuning, MotionTuning
from samlite_ros.streaming.tuning.model import (
    AlignmentTuning,
    AppearanceTuning,
    ColorTuning,
    SearchTuning,
    TemplateTuning,
)
from samlite_ros.streaming.tuning.shape import ShapeTuning
from samlite_ros.streaming.tuning.stream import ConfidenceTuning, KeyframeTuning

__all__ = [
    "AlignmentTuning",
    "AppearanceTuning",
    "AssociationTuning",
    "ChangeTuning",
    "ColorTuning",
    "CompositingTuning",
    "ConfidenceTuning",
    "DetectionTuning",
    "ImageTuning",
    "InitialPoseTuning",
    "KeyframeTuning",
    "ModelUpdateTuning",
    "MotionTuning",
    "ReidentificationTuning",
    "SearchTuning",
    "ShapeTuning",
    "TemplateTuning",
    "TrackLifeTuning",
    "TrackingTuning",
    "Tuning",
]


@dataclass(frozen=True)
class Tuning:
    """How masks are carried, one group a subject.

    The defaults are what everything is measured with; which constants matter most stands in docs/bench_streaming.md.
    Another value is built from other groups::

        Tuning(tracking=TrackingTuning(iterations=4), search=SearchTuning(candidates=0))
    """

    image: ImageTuning = field(default_factory=ImageTuning)
    motion: MotionTuning = field(default_factory=MotionTuning)
    change: ChangeTuning = field(default_factory=ChangeTuning)
    template: TemplateTuning = field(default_factory=TemplateTuning)
    alignment: AlignmentTuning = field(default_factory=AlignmentTuning)
    appearance: AppearanceTuning = field(default_factory=AppearanceTuning)
    color: ColorTuning = field(default_factory=ColorTuning)
    search: SearchTuning = field(default_factory=SearchTuning)
    initial_pose: InitialPoseTuning = field(default_factory=InitialPoseTuning)
    tracking: TrackingTuning = field(default_factory=TrackingTuning)
    compositing: CompositingTuning = field(default_factory=CompositingTuning)
    shapes: ShapeTuning = field(default_factory=ShapeTuning)
    detection: DetectionTuning = field(default_factory=DetectionTuning)
    association: AssociationTuning = field(default_factory=AssociationTuning)
    reidentification: ReidentificationTuning = field(default_factory=ReidentificationTuning)
    model_update: ModelUpdateTuning = field(default_factory=ModelUpdateTuning)
    track_life: TrackLifeTuning = field(default_factory=TrackLifeTuning)
    keyframes: KeyframeTuning = field(default_factory=KeyframeTuning)
    confidence: ConfidenceTuning = field(default_factory=ConfidenceTuning)
