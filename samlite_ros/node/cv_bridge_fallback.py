"""cv_bridge, where it is installed, for the rare encodings that our own decoder does not know."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from samlite_ros.errors import ImageDecodeError
from samlite_ros.foreign.words import one_line
from samlite_ros.pixels.decode import unknown_encoding


class CvBridgeFallback:
    """Converts with cv_bridge; it is imported when the first such image comes."""

    def __init__(self) -> None:
        self._bridge: Any = None

    def __call__(self, message: Image) -> NDArray[np.uint8]:
        """Convert to RGB uint8 (H, W, 3).

        Raises:
            ImageDecodeError: cv_bridge is missing, broken, or does not know the encoding either.
        """
        what = unknown_encoding(message.encoding)
        try:
            if self._bridge is None:
                from cv_bridge import CvBridge

                self._bridge = CvBridge()
            image = self._bridge.imgmsg_to_cv2(message, "rgb8")
        except ImportError as error:
            raise ImageDecodeError(f"{what}; cv_bridge cannot be imported") from error
        except Exception as error:  # cv_bridge raises CvBridgeError, cv2.error and KeyError
            raise ImageDecodeError(f"{what}; cv_bridge says: {one_line(error)}") from error
        return np.ascontiguousarray(image)
