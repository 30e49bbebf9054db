"""Turn the run lengths of an InstanceMask into an image."""

import numpy as np


def decode_mask(mask) -> np.ndarray:
    """bool (height, width) of a samlite_ros.msg.InstanceMask: True where the thing is."""
    counts = np.asarray(mask.counts)  # zeros and ones in turn, zeros first, column by column
    values = np.arange(counts.size) % 2 == 1
    return np.repeat(values, counts).reshape(mask.width, mask.height).T
