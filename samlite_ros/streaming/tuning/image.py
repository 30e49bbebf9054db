"""Constants of looking at images: the work image, motion between frames, change."""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.streaming.tuning.group import TuningGroup, bounded


@dataclass(frozen=True)
class ImageTuning(TuningGroup):
    """The work image, on which everything between two keyframes is computed.

    Args:
        long_side_px: Its longer side [px]; smaller camera images keep their size. Up: finer borders, work grows with
            its square, and what is given in work px means less of the scene.
        blur_sigma_px: Gaussian blur (3 x 3) of the colours that templates are compared with [work px]. Up: less noise
            and less texture.
        grid_step_px: Distance of the points that follow the motion from a keyframe on [work px]. Up: small objects
            have too few for an initial pose. Down: more work.
    """

    long_side_px: int = bounded(320, 32, 2048)
    blur_sigma_px: float = bounded(0.8, 0.1, 5)
    grid_step_px: int = bounded(3, 1, 16)


@dataclass(frozen=True)
class MotionTuning(TuningGroup):
    """Dense optical flow between frames (Farneback's method).

    Args:
        enabled: Compute it. False: nothing seems to move between frames, and what moves fast is lost.
        shrink: Work pixels per pixel of the flow. Down: not better, and takes longer. Up: small objects seem to move
            with their surroundings.
        pyramid_scale: Size of a pyramid level over that of the level below. Not measured.
        pyramid_levels: Pyramid levels. Up: follows faster motion. Down: quicker.
        window_px: Averaging window [flow px]. Up: smooth, blurs over borders. Down: noisy on plain surfaces.
        iterations: Iterations a level. Up: more exact; each costs about as much as the first.
        neighbourhood_px: Neighbourhood of the polynomial fit [flow px]. Not measured.
        neighbourhood_sigma_px: Gaussian weight of that neighbourhood [flow px]. Not measured.
    """

    enabled: bool = bounded(True)
    shrink: float = bounded(2.5, 1, 8)
    pyramid_scale: float = bounded(0.5, 0.1, 0.9)
    pyramid_levels: int = bounded(3, 1, 8)
    window_px: int = bounded(11, 3, 63)
    iterations: int = bounded(1, 1, 10)
    neighbourhood_px: int = bounded(5, 3, 9)
    neighbourhood_sigma_px: float = bounded(1.1, 0.5, 3)


@dataclass(frozen=True)
class ChangeTuning(TuningGroup):
    """Has anything changed between two frames?

    Args:
        least_difference: A pixel has changed where its 3 x 3 mean differs by more [levels] ... Up: faint objects enter
            a still scene unnoticed. Down: noise wakes the network.
        noise_factor: ... and by more than so many times the noise of that mean. Up, down: the same, in noisy images.
        most_noise: What is taken for noise at most [levels]. Up: slow motion of the camera may pass for noise. Down:
            nothing stands still before a noisy sensor.
        least_pixels: Fewer changed pixels are no change [px of half the work image's resolution]. Up: small objects
            enter unnoticed. Down: noise wakes the network.
        saturated: Brighter pixels follow no change of the exposure [levels]. Up: flicker of bright parts is a change.
            Down: changes of bright parts are none.
        most_gain: Changes of the exposure by this factor or its inverse are made up for. Up: a lamp that is switched
            is no change. Down: the camera's own exposure is one.
        cut_distance: The scene is another where this share of the colours is. Up: another scene waits for the keyframe
            period. Down: a fast pan is another scene.
        unchanged_margin_px: An object stands in an unchanged part of the image where nothing has changed so far around
            it [px of half the work image's resolution]. Up: fewer objects are known to stand still.
    """

    least_difference: float = bounded(5.0, 0, 255)
    noise_factor: float = bounded(8.0)
    most_noise: float = bounded(1.0, 0, 255)
    least_pixels: int = bounded(4, 1)
    saturated: float = bounded(230.0, 0, 255)
    most_gain: float = bounded(1.25, 1, 4)
    cut_distance: float = bounded(0.6, 0, 1)
    unchanged_margin_px: int = bounded(2, 0, 32)
