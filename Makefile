# make demo    see the package work: a rendered camera, the node, a planner, a report in demo_out/
# make test    all tests; make lint: ruff, mypy and the floors of the rooms
# make help    all of them
#
# PYTHON=python3.12        the interpreter the environment is made with
# ROS=jazzy | kilted       ROS 2 from wheels, also where a ROS is sourced
# DEMO_ARGS, TEST_ARGS, BENCH_ARGS, BAG_ARGS, TRAIN_ARGS, SOAK_ARGS   passed on to the command

PYTHON ?= python3
# A ROS that was sourced has a prefix that is no Python environment: `. .venv/env.sh` sets these variables too.
sourced := $(shell IFS=:; for p in $$AMENT_PREFIX_PATH; do \
	if [ -d "$$p" ] && [ ! -e "$$p/pyvenv.cfg" ]; then echo "$$ROS_DISTRO"; break; fi; done)
entered := $(if $(AMENT_PREFIX_PATH),$(if $(wildcard pip_ros/wheels/$(ROS_DISTRO).txt),$(ROS_DISTRO)))
ROS ?= $(if $(sourced),sourced,$(or $(entered),jazzy))
VENV := .venv$(if $(filter sourced,$(ROS)),-sourced-$(sourced),$(if $(filter-out jazzy,$(ROS)),-$(ROS)))
bootstrap := $(PYTHON) -m pip_ros.bootstrap
in_env := . $(VENV)/env.sh &&
# From within test/, so that the installed package is tested and not the source tree.
pytest := cd test && python3 -m pytest

TRANSFORMERS ?= 5.6.2 5.20.2 newest

.DEFAULT_GOAL := help
.PHONY: help env demo test lint format bench bench-streaming bench-tools bag golden train-demo train-refiner acceptance fuzz soak signals services test-transformers test-oldest clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

env:  ## the environment alone; enter it with ". .venv/env.sh"
	@$(bootstrap) --ros $(ROS) --venv $(VENV)

demo: env  ## a rendered camera, the node and a planner; report, pictures and a video in demo_out/
	@$(in_env) samlite demo --out demo_out $(DEMO_ARGS)

test: env  ## all tests but the long ones
	@$(in_env) $(pytest) -n 2 --dist loadfile --no-loadscope-reorder -m "not acceptance" $(TEST_ARGS)

lint: env  ## ruff, mypy and the contracts between the rooms
	@$(in_env) ruff check && ruff format --check && mypy && lint-imports

format: env  ## format and sort as ruff wants it
	@$(in_env) ruff check --fix && ruff format

bench: env  ## what reuse buys, against the whole model per phrase per frame; figures in bench_out/
	@$(in_env) samlite bench $(BENCH_ARGS)

bench-streaming: env  ## accuracy at every camera frame on slow hardware
	@$(in_env) samlite bench streaming $(BENCH_ARGS)

bench-tools: env  ## what only developers measure: decoder, messages, half precision, GPU; figures in bench_out/
	@$(in_env) python3 test/bench_tools/bench_tools.py $(BENCH_ARGS)

bag: env  ## a small bag with ground truth from a rendered scene, in bag_out/
	@$(in_env) samlite make-bag bag_out $(BAG_ARGS)

golden: env  ## make the golden result of the replay test anew, after a meant change of checkpoint or scenes
	@$(in_env) python3 test/bags/golden.py

train-demo: env  ## train the demo checkpoint (hours on a CPU)
	@$(in_env) samlite train-demo $(TRAIN_ARGS)

train-refiner: env  ## train the refiner of carried masks: TRAIN_ARGS="DATA ..." (hours on a CPU)
	@$(in_env) samlite train-refiner $(TRAIN_ARGS)

soak: env  ## an hour (MINUTES=60) of changing queries, sizes, cameras and kills; fails on a leak
	@$(in_env) python3 test/soak/soak.py --minutes $(or $(MINUTES),60) $(SOAK_ARGS)

signals: env  ## signals at random moments to every process (TIMES=50 each); figures
	@$(in_env) python3 test/soak/signals.py --times $(or $(TIMES),50) $(SOAK_ARGS)

services: env  ## how fast the node's services answer while something hangs; figures
	@$(in_env) python3 test/soak/services.py $(SOAK_ARGS)

fuzz: env  ## every target for MINUTES=5 in all: damaged images, bags, truth, scripts, checkpoints, messages
	@$(in_env) python3 test/fuzz/fuzz.py --minutes $(or $(MINUTES),5) $(FUZZ_ARGS)

acceptance: env  ## the long tests
	@$(in_env) $(pytest) -m acceptance $(TEST_ARGS)

test-transformers: $(TRANSFORMERS:%=test-transformers-%)  ## parity with several versions of transformers, without ROS

test-transformers-%:
	@$(bootstrap) --ros none --venv .venv-transformers-$* --with transformers$(if $(filter-out newest,$*),==$*)
	@. .venv-transformers-$*/env.sh && $(pytest) segmenter/pytorch/test_parity.py $(TEST_ARGS)

test-oldest:  ## the library with the oldest versions that setup.py allows, without ROS; needs PYTHON=python3.10
	@$(bootstrap) --ros none --venv .venv-oldest --oldest
	@. .venv-oldest/env.sh && $(pytest) --ignore ros --ignore faults $(TEST_ARGS)

clean:  ## remove environments and outputs
	rm -rf .venv* build install log demo_out bench_out bag_out *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
