import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from samlite_ros.errors import ParameterError
from samlite_ros.parameters.render import render_markdown, render_yaml
from samlite_ros.parameters.spec import Change
from samlite_ros.parameters.table import SPECS, Parameters, updated

REPOSITORY = Path(__file__).parents[2]


def test_the_parameter_file_equals_the_table():
    assert (REPOSITORY / "config" / "samlite.yaml").read_text() == render_yaml(), (
        "write render_yaml() of samlite_ros.parameters.render to config/samlite.yaml"
    )


def test_the_parameter_file_reads_back_as_the_defaults():
    values = yaml.safe_load(render_yaml())["/**"]["ros__parameters"]
    assert Parameters(**values) == Parameters()
    assert list(values) == list(SPECS)


def test_the_markdown_table_has_every_parameter_once():
    rows = render_markdown().splitlines()[2:]
    assert [re.match(r"\| `(\w+)`", row)[1] for row in rows] == list(SPECS)
    assert all(row.count("|") == 7 for row in rows)


@pytest.mark.parametrize("item", fields(Parameters), ids=lambda item: item.name)
def test_every_range_end_is_allowed_and_beyond_is_not(item):
    spec, kind = SPECS[item.name], type(item.default)
    for bound, beyond in ((spec.low, -1), (spec.high, 1)):
        if bound is not None:
            assert getattr(Parameters(**{item.name: kind(bound)}), item.name) == bound
            with pytest.raises(ParameterError, match=item.name):
                Parameters(**{item.name: kind(bound + beyond)})


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("score_threshold", "0.5", "a number, got '0.5'"),
        ("score_threshold", True, "a number, got True"),
        ("score_threshold", float("nan"), "0 to 1, got nan"),
        ("settle_time", 1e308, r"0 to 1e\+06 s, got 1e\+308"),
        ("max_mask_age", float("inf"), r"0 to 1e\+06 s, got inf"),
        ("max_queries", 2.0, "an integer, got 2.0"),
        ("max_queries", False, "an integer, got False"),
        ("search_always", 1, "true or false, got 1"),
        ("model", None, "a text, got None"),
        ("dtype", "int8", "auto, float32, bfloat16, float16, got 'int8'"),
        ("queries", [1, 2], r"a list of texts, got \[1, 2\]"),
        ("cameras", ["left cam"], "'left cam' cannot be part of a topic"),
        ("cameras", ["a", "b", "a"], "twice"),
    ],
)
def test_wrong_values_are_refused_by_name(name, value, names):
    with pytest.raises(ParameterError, match=f"{name}.*{names}"):
        Parameters(**{name: value})


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("score_threshold", 1, 1.0),
        ("max_mask_age", 3, 3.0),
        ("queries", ["red ball", " ", ""], ("red ball",)),
        ("queries", "red ball, cone", ("red ball", "cone")),
        ("queries", None, ()),
        ("cameras", [], ()),
    ],
)
def test_coercion(name, given, taken):
    value = getattr(Parameters(**{name: given}), name)
    assert value == taken
    assert type(value) is type(taken)


def test_updates_are_all_or_none_and_leave_others_alone():
    before = Parameters()
    after = updated(before, {"score_threshold": 1, "use_sim_time": True}, configured=True)
    assert (after.score_threshold, before.score_threshold) == (1.0, 0.5)
    with pytest.raises(ParameterError, match="mask_threshold"):
        updated(before, {"score_threshold": 0.2, "mask_threshold": 7.0}, configured=True)


@pytest.mark.parametrize(
    ("name", "value", "configured", "allowed"),
    [
        ("model", "other", False, True),
        ("model", "other", True, False),
        ("model", "demo", True, True),  # no change
        ("cameras", ["left"], False, False),
        ("max_mask_age", 1.0, True, True),
    ],
)
def test_when_parameters_may_change(name, value, configured, allowed):
    if allowed:
        updated(Parameters(), {name: value}, configured=configured)
    else:
        with pytest.raises(ParameterError, match=f"{name} can be changed only {SPECS[name].change.value}"):
            updated(Parameters(), {name: value}, configured=configured)


def test_options_carry_the_values():
    values = Parameters(
        image_size=504,
        text_bank_folder="/tmp/bank",
        keyframe_period=0.5,
        propagate=False,
        not_found_after=5,
        cameras=["a"],
    )
    segmenter, streaming, queries = values.segmenter_options(), values.streaming_options(), values.query_options()
    assert (segmenter.image_size, segmenter.text_bank_folder) == (504, Path("/tmp/bank"))
    assert (streaming.keyframe_period_s, streaming.propagate) == (0.5, False)
    assert (queries.hysteresis.not_found_after, queries.cameras) == (5, ("a",))
    assert Parameters().segmenter_options().image_size is None
    assert Parameters().query_options().cameras == ("",)


def test_every_parameter_says_what_it_means():
    assert all(spec.meaning.endswith(".") and isinstance(spec.change, Change) for spec in SPECS.values())


@pytest.mark.parametrize("refine", [True, False])
def test_shapes_are_carried_where_masks_are_to_be_refined(refine):
    assert Parameters(refine_masks=refine).streaming_options().tuning.shapes.enabled is refine
