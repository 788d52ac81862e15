# Every target stands on its own: it makes the environment it needs first. python3 (3.11 or newer), git and
# make are all that must be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The OpenGL backend that draws here; as root on Debian and Ubuntu a missing one is installed.
GL := MUJOCO_GL="$$($(BIN)/python -m robocat.doctor --fix)" && export MUJOCO_GL

.PHONY: help cycle test test-slow lint check bench clean

help:
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/make \1: \2/p' Makefile

cycle: $(READY) ## demonstrations, tokens, generalist, branch, practice, next generalist
	@$(GL) && set -x && $(BIN)/robocat improve --preset nano

test: $(READY) ## the tests that take seconds
	@$(GL) && set -x && $(BIN)/python -m pytest

test-slow: $(READY) ## all tests but those for a GPU
	@$(GL) && set -x && $(BIN)/python -m pytest -m "not gpu"

lint: $(READY) ## style, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint test ## all that a change must pass

bench: $(READY) ## the measurements behind the README's figures
	@$(GL) && set -x && $(BIN)/python -m bench

clean: ## what building and testing left; neither runs nor the environment
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './runs/*' -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("robocat needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name another, as in make PYTHON=python3.12" % v[:2])'
	@echo "making $(VENV): a few minutes, once"
	@$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@
