"""YAML, scripts, parameter files, checkpoints and stored prompts that somebody bent, or that are no files at all."""

import json
import os
import re
import shutil

import pytest
from bounds import bounds, refusal

from samlite_ros.errors import ModelLoadError, ParameterError
from samlite_ros.parameters.file import check_parameter_file, read_parameter_file
from samlite_ros.replay.script import read_script
from samlite_ros.segmenter import SegmenterOptions, load_segmenter
from samlite_ros.segmenter.files import check_folder
from samlite_ros.segmenter.sources import DEMO_FOLDER

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))
YAML = {
    "a list that doubles itself": (LAUGHS + "queries: *a59\n", "aliases written out|nested"),
    "a mapping that doubles itself": (MERGES, "aliases written out|nested"),
    "a chain of aliases": (CHAIN, "nested more than"),
    "a list that holds itself": ("a: &a [*a]\n", "contains it"),
    "lists in lists": ("[" * 2_000_000, "nested"),
    "mappings in mappings": ("{a: " * 3000 + "}" * 3000, "nested"),
    "a number in base 60 of 100,000 places": ("at: " + "1:" * 100_000 + "1\n", "a number of"),
    "an integer that is none": ("- {at: !!int abc}\n", "invalid literal"),
    "a truth that is none": ("- {at: !!bool maybe}\n", "maybe"),
    "a time that is none": ("- {at: !!timestamp nonsense}\n", "NoneType|attribute"),
    "a month that is none": ("- at: 1\n- at: 2099-99-99\n", "line 2: month must be in 1..12"),
    "Python's own objects": ("- !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
    "a key that is a list": ("? [a]\n: b\n", "unhashable|key"),
    "five megabytes": ("x: " + "y" * 5_000_000, "at most 4,194,304 are read"),
    "no text": (b"\xff\xfe\xfa\x00", "decode|utf"),
    "a null byte": ("a: \x00", "not allowed|unacceptable|control characters"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_that_is_none_is_refused_by_all_who_read_it(tmp_path, name):
    content, words = YAML[name]
    path = tmp_path / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (lambda: read_script(path, 0), lambda: read_parameter_file(path)):
        assert re.search(words, refusal(read, ParameterError, memory_mib=128))
    assert re.search(words, refusal(lambda: check_parameter_file(path, "samlite"), ParameterError, memory_mib=128))


SCRIPTS = {
    "a time beyond 2038": ("- {at: 2147483647, text: red}", "expected 0 to"),
    "a time before 0": ("- {at: -1, text: red}", "a time of 0 to"),
    "a time without end": ("- {at: .inf, text: red}", "a number"),
    "a lifetime of 10^90 s": ("- {at: 1, text: red, lifetime: 1" + "0" * 90 + "}", "a time of 0 to"),
    "a priority beyond its field": ("- {at: 1, text: red, priority: 200}", "integer from -128"),
    "a text that is a mapping": ("- {at: 1, text: {a: b}}", "a text"),
    "a key with control characters": ('- {"\\e[2J\\n": 1}', r"\\x1b\[2J\\n"),
    "a thousand unknown keys": ("- {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}", "and 990 more"),
    "an entry that is a number": ("- 5", "got 5"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_with_one_thing_wrong_is_refused_in_words(tmp_path, name):
    text, words = SCRIPTS[name]
    (tmp_path / "script.yaml").write_text(text)
    read = lambda: read_script(tmp_path / "script.yaml", 1_700_000_000_000_000_000)  # noqa: E731
    assert re.search(words, refusal(read, ParameterError))


SPECIAL = {
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("/no/such/file"),
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    SPECIAL[kind](tmp_path / "file.yaml")
    assert refusal(lambda: read_script(tmp_path / "file.yaml", 0), ParameterError, memory_mib=64)


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_checkpoint_of_what_is_no_file_is_not_waited_for(tmp_path, kind, name):
    folder = shutil.copytree(DEMO_FOLDER, tmp_path / "model")
    (folder / name).unlink()
    SPECIAL[kind](folder / name)
    assert str(folder) in refusal(lambda: check_folder(folder), ModelLoadError, memory_mib=128)


def edited(name: str, **values: object):
    def edit(folder):
        content = json.loads((folder / name).read_text())
        content.update(values)
        (folder / name).write_text(json.dumps(content))

    return edit


def written(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


CHECKPOINTS = {
    "auto_map in the tokenizer": (
        edited("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
        "tokenizer_config.json has the key auto_map",
    ),
    "auto_map in the configuration": (edited("config.json", auto_map={"AutoModel": "evil.Model"}), "the key auto_map"),
    "auto_map in a part of it": (
        edited("config.json", text_config={"auto_map": {"AutoModel": "e.M"}}),
        "the key auto_map",
    ),
    "auto_map in a processor": (written("processor_config.json", '{"auto_map": {"AutoProcessor": "e.P"}}'), "auto_map"),
    "an attention from elsewhere": (
        edited("config.json", attn_implementation="evil/kernel"),
        "the key attn_implementation",
    ),
    "an attention from elsewhere, hidden": (
        edited("config.json", vision_config={"_attn_implementation": "evil/kernel"}),
        "_attn_implementation",
    ),
    "experts from elsewhere": (edited("config.json", experts_implementation="evil/kernel"), "experts_implementation"),
    "an adapter": (
        written("adapter_config.json", '{"base_model_name_or_path": "evil/model"}'),
        "adapters are not loaded",
    ),
    "ten million layers": (edited("config.json", text_config={"num_hidden_layers": 10_000_000}), "at most 1000"),
    "an image of 10^6 px": (edited("config.json", image_size=1_000_000), "at most 16384"),
    "a width of 10^12": (edited("config.json", hidden_size=10**12), "'hidden_size' is"),
    "weights elsewhere": (
        written("model.safetensors.index.json", '{"weight_map": {"a": "../../etc/passwd"}}'),
        "outside of the folder",
    ),
    "weights at an absolute path": (
        written("model.safetensors.index.json", '{"weight_map": {"a": "/etc/passwd"}}'),
        "outside of the folder",
    ),
    "a table of weights that is a list": (
        written("model.safetensors.index.json", '{"weight_map": [1]}'),
        "none at all",
    ),
    "a configuration in lists": (written("config.json", "[" * 100_000), "nested too deeply"),
    "a configuration that is a number": (written("config.json", "5"), "expected an object"),
    "a configuration with NaN": (written("config.json", '{"model_type": NaN}'), "NaN is no number"),
    "another architecture": (edited("config.json", model_type="x" * 100_000), "100,000 characters"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_that_leads_elsewhere_is_refused_before_anything_is_built(tmp_path, name):
    harm, words = CHECKPOINTS[name]
    folder = shutil.copytree(DEMO_FOLDER, tmp_path / "model")
    harm(folder)
    assert words in refusal(lambda: check_folder(folder), ModelLoadError)


def test_a_whole_checkpoint_is_taken(tmp_path):
    with bounds():
        assert check_folder(shutil.copytree(DEMO_FOLDER, tmp_path / "model"))


@pytest.mark.parametrize(("text", "words"), [("{}", "KeyError"), ("[" * 100_000, "nested too deeply")])
def test_a_tokenizer_that_is_none_is_refused_as_one(tmp_path, text, words):
    folder = shutil.copytree(DEMO_FOLDER, tmp_path / "model")
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(ModelLoadError, match=f"no tokenizer that can be read: .*{words}"):
        load_segmenter(SegmenterOptions(str(folder), device="cpu"))
