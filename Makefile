# `make demo` and `make test` do all their own set-up; a second call reuses it.

VENV := .venv
PY := $(VENV)/bin/python
# The first interpreter that is recent enough; PYTHON=/path/to/python3 overrides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)

INSTALLED := $(VENV)/.installed
OPEN_MODEL := BFM/open_face_model.mat

.PHONY: help setup op face-model demo test lint parity bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        reconstruct the photos in input/ (or a portrait that comes along) into output/"
	@echo "make test        check the style and run all tests"
	@echo "make setup       only install: virtual environment, compiled op, open face model"
	@echo "make parity GOLDEN=DIR   compare with numbers measured on the published system"
	@echo "make bench       time everything, beside the published system, into result/benchmarks"
	@echo "make clean       remove everything that make made, but no data and no results"

setup: $(INSTALLED) op face-model

$(INSTALLED): requirements.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.10 or newer is needed; install it or give make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

op: $(INSTALLED)
	@$(PY) -m mesh_renderer.build

face-model: $(OPEN_MODEL)

$(OPEN_MODEL): $(INSTALLED) | op
	@$(PY) -m face_model.open_model --output $@

demo: setup
	@$(PY) demo.py

test: setup lint
	@$(PY) -m pytest

lint: $(INSTALLED)
	@$(VENV)/bin/ruff check .

parity: setup
	@$(PY) tests/parity.py --golden $(GOLDEN)

bench: setup
	@$(PY) -m benchmarks

clean:
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache mesh_renderer/lib $(OPEN_MODEL)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
