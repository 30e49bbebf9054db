"""Which backend computes the network, as an option of several commands."""

from __future__ import annotations

from argparse import ArgumentParser, _ArgumentGroup

BACKENDS = ("auto", "torch", "onnx", "tensorrt")
PROVIDERS = ("auto", "tensorrt", "cuda", "openvino", "cpu")


def add_backend_arguments(parser: ArgumentParser | _ArgumentGroup, default: str | None = "auto") -> None:
    """Declare --backend and --provider.

    Args:
        parser: To add them to.
        default: Of both; None = what the parameters say.
    """
    parser.add_argument(
        "--backend", choices=BACKENDS, default=default, help="auto = an export where there is one, else torch"
    )
    parser.add_argument(
        "--provider",
        choices=PROVIDERS,
        default=default,
        help="of backend onnx: auto = the best; else this or none",
    )
