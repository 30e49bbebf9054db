"""The table of subcommands, `samlite info` and `samlite download`."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import Sam3Config, Sam3Model

from samlite_ros import __version__
from samlite_ros.commands import cli
from samlite_ros.errors import ModelLoadError
from samlite_ros.segmenter import sources
from samlite_ros.segmenter.pytorch.parts import PARTS, SAM3_PARAMETERS, find_config, part_sizes
from samlite_ros.segmenter.sources import DEMO_FOLDER

S0 = "vil-uob/sam3-litetext-s0"


def test_help_lists_every_command_and_imports_none(capsys, monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"imported {name}"))
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


def test_every_command_keeps_freed_memory(capsys, monkeypatch):
    told = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: told.append(True))
    cli.main(["info", "demo"])
    assert told


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.strip() == f"samlite_ros {__version__}"


@pytest.mark.parametrize("words", [[], ["dance"]])
def test_no_such_command(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_a_slip_is_answered_by_its_own_command(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["segment", "photo.jpg", "red ball", "--modle", "demo"])
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert "usage: samlite segment" in told and "--modle demo; did you mean --model?" in told


def test_an_option_in_the_wrong_place_is_no_slip(capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", "streaming", "--out", "here"])
    told = capsys.readouterr().err
    assert "unrecognized arguments: --out here" in told and "did you mean" not in told


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([name, "--help"])
    assert caught.value.code == 0
    assert f"samlite {name}" in capsys.readouterr().out


def test_info_shows_what_the_text_encoder_saves(capsys):
    assert cli.main(["info", S0]) == 0
    out = capsys.readouterr().out
    assert re.search(r"text encoder +42\.441 M +169\.8 MB +84\.9 MB +353\.462 M +-88\.0%", out)
    assert re.search(r"vision encoder +454\.039 M .* same", out)
    assert re.search(r"all +529\.224 M .* 840\.37\d M +-37\.0%", out)
    assert re.search(r"here it computes on c\w+, b?float\d\d", out)


def test_info_of_a_folder_needs_its_configuration_only(tmp_path, capsys):
    (tmp_path / "config.json").write_bytes((DEMO_FOLDER / "config.json").read_bytes())
    assert cli.main(["info", str(tmp_path)]) == 0
    folder = capsys.readouterr().out.splitlines()
    assert cli.main(["info"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == folder[1:]


def test_parts_are_the_whole():
    from samlite_ros.segmenter.options import SegmenterOptions
    from samlite_ros.segmenter.pytorch.checkpoint import load_checkpoint

    model = load_checkpoint(SegmenterOptions(device="cpu")).model
    assert sum(p.parameters for p in part_sizes(find_config("demo"))) == sum(p.numel() for p in model.parameters())


def test_sam3s_sizes_are_those_of_its_architecture():
    with torch.device("meta"):
        sam3 = Sam3Model(Sam3Config())
    for name, modules in PARTS.items():
        counted = sum(p.numel() for module in modules for p in getattr(sam3, module).parameters())
        assert counted == SAM3_PARAMETERS[name], name


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("vil-uob/sam3-litetext-l", "configuration of 'vil-uob/sam3-litetext-l' is not on this machine"),
        ("facebook/sam3", "gated"),
        ("/gone", "no folder"),
    ],
)
def test_info_of_unknown_models(model, says, capsys, monkeypatch):
    monkeypatch.setattr("samlite_ros.segmenter.pytorch.parts.cached_config", lambda _name: None)
    assert cli.main(["info", model]) == 1
    assert says in capsys.readouterr().err


def test_info_takes_the_configuration_from_the_hub(tmp_path, monkeypatch, capsys):
    config = json.loads((DEMO_FOLDER / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr("samlite_ros.segmenter.pytorch.parts.cached_config", lambda _name: tmp_path / "config.json")
    assert cli.main(["info", "somebody/something"]) == 0
    assert "somebody/something" in capsys.readouterr().out


def snapshot(folder):
    def download(_name, allow_patterns, local_files_only=False):
        assert "*.safetensors" in allow_patterns
        assert not any("bin" in pattern or "py" in pattern for pattern in allow_patterns)
        return str(folder)

    return download


def test_download_says_where(monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot(DEMO_FOLDER))
    assert cli.main(["download", S0]) == 0
    out = capsys.readouterr().out
    assert str(DEMO_FOLDER) in out
    assert re.search(rf"{S0}: \d+\.\d MB", out)


def test_download_checks_what_arrived(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot(tmp_path))
    assert cli.main(["download", "somebody/something"]) == 1
    assert "no config.json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["facebook/sam3", "no-such-model", str(Path(sys.executable))])
def test_download_refuses_wrong_names(name, capsys):
    assert cli.main(["download", name]) == 1
    assert "vil-uob/sam3-litetext-s0" in capsys.readouterr().err or Path(name).is_file()


def test_cached_checkpoints_need_no_network(monkeypatch):
    calls = []

    def offline(_name, allow_patterns, local_files_only=False):
        calls.append(local_files_only)
        return str(DEMO_FOLDER)

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    assert sources.find_checkpoint(S0) == DEMO_FOLDER
    assert calls == [True]


def test_an_incomplete_cache_is_completed(monkeypatch, tmp_path):
    calls = []

    def half(_name, allow_patterns, local_files_only=False):
        calls.append(local_files_only)
        return str(tmp_path if local_files_only else DEMO_FOLDER)

    monkeypatch.setattr("huggingface_hub.snapshot_download", half)
    assert sources.find_checkpoint(S0) == DEMO_FOLDER
    assert calls == [True, False]


def test_errors_keep_their_type_in_the_library():
    with pytest.raises(ModelLoadError):
        sources.find_checkpoint("/gone")


def test_info_of_an_export_tells_what_is_in_it_and_what_computes_it(demo_export, capsys):
    assert cli.main(["info", str(demo_export)]) == 0
    told = capsys.readouterr().out
    assert "demo exported as fp32 for 192 px, opset 20" in told and "at most 16 phrases at once" in told
    assert "features float32 nxlx64" in told and "here it computes on cpu, fp32, ONNX Runtime" in told


def test_info_of_a_model_tells_of_the_export_that_computes_it(demo_export, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "samlite_ros" / "exports" / "demo"
    shutil.copytree(demo_export, folder)
    assert cli.main(["info", "demo"]) == 0
    told = capsys.readouterr().out
    assert "text encoder" in told and told.endswith(
        f"here its export computes: `samlite info {folder}` tells what it is\n"
    )
    monkeypatch.setattr("samlite_ros.commands.info.find_spec", lambda name: None)  # no torch
    assert cli.main(["info", "demo"]) == 0
    assert "demo exported as fp32 for 192 px" in capsys.readouterr().out


CONFIGS = {
    "negative": lambda value: -value,
    "zero": lambda value: 0,
    "lists": lambda value: [None],
}


def _numbers_changed(content, change):
    if isinstance(content, dict):
        return {key: _numbers_changed(value, change) for key, value in content.items()}
    if isinstance(content, list):
        return [_numbers_changed(value, change) for value in content]
    is_number = isinstance(content, int | float) and not isinstance(content, bool)
    return change(content) if is_number else content


def _without_patches(content):
    if not isinstance(content, dict):
        return content
    return {key: 0 if key == "patch_size" else _without_patches(value) for key, value in content.items()}


@pytest.mark.parametrize("name", [*CONFIGS, "no patches"])
def test_info_of_a_configuration_that_is_no_network(tmp_path, capsys, name):
    content = json.loads((DEMO_FOLDER / "config.json").read_text())
    changed = _without_patches(content) if name not in CONFIGS else _numbers_changed(content, CONFIGS[name])
    (tmp_path / "config.json").write_text(json.dumps(changed))
    assert cli.main(["info", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"samlite info: no network can be made of the configuration of '{tmp_path}'")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("policy -o /dev/full", "samlite policy: /dev/full cannot be written: No space left on device"),
        ("policy -o /proc/x", "samlite policy: /proc/x cannot be written: No such file or directory"),
        ("doctor --report /", "samlite doctor: / cannot be written: Is a directory"),
        ("policy --params-file /no/file", "/no/file"),
    ],
)
def test_files_that_fail_are_named_without_numbers(capsys, words, told):
    assert cli.main(words.split()) == 1
    out = capsys.readouterr()
    assert told in out.err and "Errno" not in out.err and not out.out


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        ("samlite policy >&-", ""),
        ("samlite policy 2>&- >&-", ""),
        ("samlite policy >/dev/full", "samlite policy: standard output cannot be written: No space left on device"),
        ("samlite policy --node /rød", "is no full name"),
    ],
)
def test_a_stream_that_takes_nothing_or_not_everything_ends_nothing(shell, told):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    code = f"{sys.executable} -m samlite_ros.commands.cli{shell.removeprefix('samlite')}"
    done = subprocess.run(
        ["bash", "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr and told in done.stderr
    assert done.returncode == bool(told)


def test_a_character_that_the_output_cannot_show_is_escaped(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["policy"]) == 0
    sys.stdout.write("røde ball\n")
    out.flush()
    assert out.buffer.getvalue().endswith(b"r\\xf8de ball\n")
