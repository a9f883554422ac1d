# `make test` and `make demo` need Python 3.11 or newer and nothing else; the first run sets up .venv.
# Written for GNU make 3.81 and BSD make alike.

VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.stamp
EXTRAS = dev
CODE = katibpy suggestion_services early_stopping nas

PROTO_VENV = .venv-proto
PROTO_STAMP = $(PROTO_VENV)/.stamp
PROTO = katibpy/pb/v1beta1/api.proto

DEMO = examples/digits-random/experiment.yaml

.PHONY: help venv demo test check bench soak proto crds docs clean

help:
	@echo "make demo    tune a real model and print its best parameters"
	@echo "make test    check, then every test that needs no cluster"
	@echo "make check   ruff, mypy, import contracts"
	@echo "make bench   every benchmark, one JSON object a line"
	@echo "make soak    the long kill loops and outages"
	@echo "make proto   regenerate katibpy/pb from proto/"
	@echo "make crds    regenerate deploy/crds from katibpy/api"
	@echo "make docs    regenerate docs/algorithms.md from the algorithms"
	@echo "make clean   remove what the tools left behind, .venv included"

venv: $(STAMP)

# The stamp depends on what decides the environment, so a second run installs nothing.
$(STAMP): pyproject.toml constraints.txt
	@python=""; \
	for candidate in "$$PYTHON" python3.11 python3.12 python3.13 python3 python; do \
		if [ -n "$$candidate" ] && "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			python="$$candidate"; break; \
		fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is needed, and none was found on PATH. Install it, or name it: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi; \
	if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		echo "Setting up $(VENV) with $$python"; \
		"$$python" -m venv --clear $(VENV) || { \
			echo "$$python cannot make a virtual environment; on Debian and Ubuntu install python3-venv." >&2; exit 1; }; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

# Its state is thrown away, so that a second demo runs again instead of printing the first one's result.
demo: $(STAMP)
	@state=$$(mktemp -d "$${TMPDIR:-/tmp}/katib-demo.XXXXXX") && trap 'rm -rf "$$state"' EXIT && \
	$(BIN)/katib run $(DEMO) --state-dir "$$state"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests start many processes: the code they import is kept compiled, whatever the environment says.
test: check
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile

bench: $(STAMP)
	@set -e; for benchmark in benchmarks/*.py; do \
		if [ -f "$$benchmark" ]; then $(BIN)/python "$$benchmark"; fi; \
	done

soak: $(STAMP)
	$(BIN)/python -m pytest -m soak --timeout 1800

# The generator is old on purpose: its code runs on protobuf 4.25 to 7. It needs pkg_resources, which
# setuptools 81 removed.
$(PROTO_STAMP): $(STAMP)
	$(BIN)/python -m venv --clear $(PROTO_VENV)
	$(PROTO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'setuptools<81' 'grpcio-tools==1.62.3'
	@touch $@

proto: $(PROTO_STAMP)
	$(PROTO_VENV)/bin/python -W ignore -m grpc_tools.protoc -I proto \
		--python_out=. --pyi_out=. --grpc_python_out=. proto/$(PROTO)

crds: $(STAMP)
	$(BIN)/python deploy/generate_crds.py

docs: $(STAMP)
	$(BIN)/python docs/generate_algorithms.py

clean:
	rm -rf $(VENV) $(PROTO_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache .katib .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
