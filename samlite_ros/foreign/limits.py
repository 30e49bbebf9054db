"""How much is taken from outside, in one place: checked before work is done or memory is taken.

What a parameter limits (`max_image_pixels`, `max_queries` ...) is not repeated here.
"""

from __future__ import annotations

MIB = 1 << 20

NAME_CHARACTERS = 256
"""Of a client, the id of a query, a frame, an encoding, a format."""
TEXT_CHARACTERS = 1000
"""Of a phrase; the model takes about a tenth of that."""
KEPT_TEXT_CHARACTERS = 200
"""Of a phrase or a name that was refused: so much is kept and published."""
SHOWN_CHARACTERS = 80
"""Of a foreign text in a line of the log, an error, or a diagnostic."""
CAMERAS_NAMED = 64
"""Names of cameras in one query."""
QUERY_BYTES, QUERY_SET_BYTES = 64 * 1024, 4 * MIB
"""Of one TextQuery; of one QuerySet or text with phrases."""
DISTORTION_NUMBERS = 64
"""Coefficients of a camera's calibration; the longest model that is known has 14."""

IMAGE_PIXELS = 100_000_000
"""Of one image, where no parameter says otherwise."""
PIXEL_BYTES = 8
"""Of an image in the codec's own memory: four channels of 16 bits."""
IMAGE_BYTES = 512 * MIB
"""Of an image in a file, or on standard input."""
JPEG_SCANS = 100
"""Of one JPEG: each costs a pass over the whole image, and takes a few bytes in the file."""

MESSAGE_BYTES = 512 * MIB
"""Of one recorded message, unpacked."""
CHUNK_BYTES = MESSAGE_BYTES + 16 * MIB
"""Of one chunk of an mcap file, unpacked."""
QOS_CHARACTERS = 256 * 1024
"""What a bag says of a topic's publishers."""
DEFINITION_CHARACTERS = 64 * 1024
"""Of the text of a message's type in a bag."""
RECORD_BYTES = 16 * MIB
"""Of a record of an mcap file that is neither message nor chunk."""
PACKED_GROWTH, PACKED_FREE_BYTES = 1000, 256 * MIB
"""A packed bag may become so many times its size, or so large in any case."""
DISK_RESERVE_BYTES = 256 * MIB
"""So much of the disk stays free where a bag is unpacked."""

YAML_BYTES, YAML_NODES, YAML_DEPTH, YAML_NUMBER_CHARACTERS = 4 * MIB, 200_000, 50, 100
"""Of one YAML file; what an alias stands for counts again wherever it stands."""
JSON_BYTES = 1024 * MIB
"""Of a truth file, which holds masks."""
POLYGON_PATH_PX = 1_000_000
"""Length of all outlines of one region [px]."""

CHECKPOINT_JSON_BYTES = 256 * MIB
"""Of a checkpoint's configuration or tokenizer."""
CHECKPOINT_LAYERS = 1000
"""Of any part of a network."""
BANK_ENTRY_BYTES = 4 * MIB
"""Of one prompt's features on disk."""
FOCAL_PX = (1.0, 1e6)
"""Focal length of a camera [px]."""
