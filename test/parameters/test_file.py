"""Parameter files are read as the node reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from samlite_ros.errors import ParameterError
from samlite_ros.parameters.file import read_parameter_file


def test_parameter_file_is_that_of_the_node(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    max_mask_age: 3\nsamlite:\n  ros__parameters:\n    propagate: true\n"
    )
    parameters = read_parameter_file(path)
    assert (parameters.max_mask_age, parameters.propagate) == (3.0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("other_node: {}", "no section"),
        ("", "no section"),
        ("- a", "no section"),
        ("{", "parameters .*params.yaml: while parsing"),
        ("samlite: 5", "no ros__parameters"),
        ("samlite: {ros__parameters: 5}", "no ros__parameters"),
        ("samlite: {ros__parameters: {max_mask_agee: 3}}", "no parameter max_mask_agee, did you mean max_mask_age?"),
        ("samlite: {ros__parameters: {zzz: 3}}", "no parameter zzz: model, backend"),
        ("samlite: {ros__parameters: {max_mask_age: -1}}", "params.yaml: max_mask_age must be 0 to 1e"),
        ("samlite: {ros__parameters: {queries: [1]}}", "params.yaml: queries must be a list of texts"),
    ],
)
def test_wrong_parameter_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParameterError, match=words):
        read_parameter_file(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", ["/**", "samlite", "/samlite", "/robot/samlite", "/**/samlite"])
def test_parameters_of_every_node_are_known_and_mean_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "params.yaml").write_text(
        f"{name}:\n  ros__parameters:\n    use_sim_time: true\n    max_queries: 7\n"
        "    qos_overrides./image.subscription.depth: 2\n"
    )
    assert read_parameter_file(tmp_path / "params.yaml").max_queries == 7
