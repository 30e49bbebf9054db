"""The mask decoders of docs/topics.md, in Python and in C++, on real messages."""

import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ros_install import ros_prefixes

from samlite_ros.msg import InstanceMask
from samlite_ros.pixels.masks import encode_rle, mask_from_array

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAM = """
#include "decode_mask.hpp"
#include <iostream>

int main()
{
  samlite_ros::msg::InstanceMask mask;
  std::cin >> mask.height >> mask.width;
  for (std::uint32_t run; std::cin >> run;) {
    mask.counts.push_back(run);
  }
  for (auto value : decode_mask(mask)) {
    std::cout << int(value);
  }
}
"""


def corner_pixels() -> np.ndarray:
    image = np.zeros((4, 3), bool)
    image[0, 0] = image[3, 2] = True
    return image


def blob() -> np.ndarray:
    rows, columns = np.mgrid[:40, :61]
    return (rows - 20) ** 2 + (columns - 25) ** 2 < 200


IMAGES = {
    "nothing": np.zeros((5, 7), bool),
    "everything": np.ones((5, 7), bool),
    "corners": corner_pixels(),
    "blob": blob(),
}


def message(image: np.ndarray) -> InstanceMask:
    counts = encode_rle(mask_from_array(image))
    return InstanceMask(height=image.shape[0], width=image.shape[1], counts=counts.tolist())


@pytest.fixture(scope="module")
def cpp_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that reads height, width and run lengths, and prints the pixels row by row."""
    folder = tmp_path_factory.mktemp("decoder")
    (folder / "main.cpp").write_text(PROGRAM)
    packages = [
        package for prefix in ros_prefixes() for package in sorted(prefix.glob("include/*")) if package.is_dir()
    ]
    includes = [option for folder in [EXAMPLES, *packages] for option in ("-isystem", str(folder))]
    binary = folder / "decode"
    command = [
        "g++",
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Werror",
        *includes,
        str(folder / "main.cpp"),
        "-o",
        str(binary),
    ]
    subprocess.run(command, check=True)
    return binary


@pytest.mark.parametrize("name", IMAGES)
def test_python_decoder_gives_the_mask_back(name: str) -> None:
    decode_mask = runpy.run_path(str(EXAMPLES / "decode_mask.py"))["decode_mask"]
    np.testing.assert_array_equal(decode_mask(message(IMAGES[name])), IMAGES[name])


@pytest.mark.parametrize("name", IMAGES)
def test_cpp_decoder_gives_the_mask_back(name: str, cpp_decoder: Path) -> None:
    mask = message(IMAGES[name])
    numbers = " ".join(map(str, [mask.height, mask.width, *mask.counts]))
    pixels = subprocess.run([cpp_decoder], input=numbers, capture_output=True, text=True, check=True).stdout
    np.testing.assert_array_equal(np.array([*pixels], int).reshape(IMAGES[name].shape), IMAGES[name])
