"""The library and the `samlite` command without ROS: `pip install '.[torch]'`, or `'.[onnx]'` for exported networks.

Never into an environment that colcon installed into: pip would remove the messages. The dependencies are declared here
and nowhere else; `pip_ros/bootstrap.py` reads them too.
"""

import re
from pathlib import Path

LIBRARY = [
    "numpy>=1.24",
    "opencv-python>=4.5.4,<5",  # cv_bridge raises KeyError with OpenCV 5
    "pyyaml>=6.0",
    "safetensors>=0.4.3",
    "scipy>=1.10",
    "tqdm>=4.60",
]
"""Without a network to compute: that is an extra, since none can take away what the package itself asks for."""

_TORCH = ["torch>=2.4", "transformers>=5.6"]  # the first with sam3_lite_text
_ONNX = ["onnxruntime>=1.18", "tokenizers>=0.22"]

EXTRAS = {
    "torch": _TORCH,
    "onnx": _ONNX,
    "bags": ["lz4>=4", "matplotlib>=3.6", "mcap>=1.2.1", "pycocotools>=2.0.10", "rosbags>=0.11", "zstandard>=0.19"],
    "export": ["onnx>=1.17", "onnxscript>=0.3", *_ONNX, *_TORCH],
    "bench": ["matplotlib>=3.6", "psutil>=5.9"],
    "plots": ["matplotlib>=3.6"],
    "lint": ["import-linter>=2.0", "mypy>=1.11", "ruff>=0.6", "types-PyYAML", "types-psutil"],
    "test": [
        "hypothesis>=6.80",
        "mcap-ros2-support>=0.5.3",
        "pycocotools>=2.0.10",
        "pytest>=7.4",
        "pytest-timeout>=2.2",
        "pytest-xdist>=3.5",
        "setuptools>=70.1",  # builds wheels by itself
        "trackeval>=1.3; python_version >= '3.11'",  # wants numpy 2
    ],
    "train": ["onnx>=1.16", "scikit-image>=0.22", "scikit-learn>=1.3", *_TORCH],  # scikit-* ship photographs
}

# Bags are read and written without ROS, from the text of the messages.
MESSAGE_TEXTS = {
    "samlite_ros.interfaces.samlite_ros": "msg",
    "samlite_ros.interfaces.vision_msgs": "pip_ros/vision_msgs/msg",
}

if __name__ == "__main__":
    from setuptools import find_packages, setup

    here = Path(__file__).resolve().parent
    version = re.search(r'^__version__ = "(.+)"', (here / "samlite_ros/__init__.py").read_text(), re.MULTILINE)
    readme = here / "README.md"

    setup(
        name="samlite_ros",
        version=version[1],
        description="Find things by name in camera streams, at camera rate: SAM3-LiteText, every embedding reused",
        long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        python_requires=">=3.10",
        packages=find_packages(include=["samlite_ros", "samlite_ros.*"]) + list(MESSAGE_TEXTS),
        package_dir=MESSAGE_TEXTS,
        package_data={
            "samlite_ros": ["py.typed", "models/demo/*", "models/refiner/*", "scenes/photographs/*"],
            **{package: ["*.msg"] for package in MESSAGE_TEXTS},
        },
        install_requires=LIBRARY,
        extras_require=EXTRAS,
        entry_points={"console_scripts": ["samlite = samlite_ros.commands.cli:main"]},
    )
