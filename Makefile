# Set-up and checks. Needs GNU make (3.81 or later, as on macOS) and Python >= 3.11 with its venv module; nothing else.
#
#   make demo       install what limpid needs to run, then run the demo (more arguments: ARGS="--out runs/mine")
#   make install    make .venv whole: the users' and the developers' needs, at the versions of constraints.txt
#   make test       all tests but the slow ones (more arguments: TESTARGS="-k paths");  make test-slow: the slow ones
#   make test-gpu   what only a machine with an NVIDIA GPU can test and measure
#   make check      everything CI runs: make static (format, lint, types, import contract), make docs and make test
#   make docs       build the documentation into build/site (index.html opens in any browser)
#   make bench      every benchmark;  make clean: remove .venv and caches (runs stay)
#
# PYTHON=python3.12 picks the interpreter that .venv is made with. PIP_ARGS="..." goes to every pip install: say there
# where pip finds packages, for instance an --extra-index-url of CPU-only PyTorch wheels (much smaller on Linux).

PYTHON ?=
PIP_ARGS ?=
ARGS ?=
TESTARGS ?=

BIN := .venv/bin
INPUTS := pyproject.toml constraints.txt
INSTALL = PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS)

.PHONY: help demo install test test-slow test-gpu static docs check bench clean

help:
	@sed -n 's/^#   //p' Makefile

demo: .venv/.runtime
	$(BIN)/limpid demo $(ARGS)

install: .venv/.whole

test: .venv/.whole
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile --no-loadscope-reorder $(TESTARGS)

test-slow: .venv/.whole
	$(BIN)/python -m pytest -m slow $(TESTARGS)

test-gpu: .venv/.whole
	$(BIN)/python -m pytest -m gpu $(TESTARGS)
	$(BIN)/python -m bench.gpu

static: .venv/.whole
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.whole
	$(BIN)/python -m tools.docs

check: static docs test

bench: .venv/.whole
	@$(INSTALL) -e ".[dev,bench]"
	@set -e; for file in $$(grep -l '__main__' bench/*.py); do \
		name=$$(basename "$$file" .py); echo "== bench.$$name"; $(BIN)/python -m "bench.$$name" $(ARGS); \
	done

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: an installation is repeated only when what it was made from has changed. Making .venv tries PYTHON, or
# else the usual names in turn, and takes the first of them that is new enough and can make a virtual environment.
$(BIN)/python:
	@old=; bare=; \
	for python in $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		command -v "$$python" >/dev/null 2>&1 || continue; \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { old="$$python"; continue; }; \
		"$$python" -c 'import venv, ensurepip' 2>/dev/null || { bare="$$python"; continue; }; \
		echo "Making .venv with $$("$$python" --version)"; \
		rm -rf .venv; exec "$$python" -m venv .venv; \
	done; \
	if [ -n "$$bare" ]; then \
		echo "limpid: $$bare cannot make virtual environments; on Debian or Ubuntu: sudo apt install python3-venv" >&2; \
	elif [ -n "$$old" ]; then \
		echo "limpid: $$old is $$("$$old" --version 2>&1), and 3.11 or later is needed: install it, then make PYTHON=python3.12" >&2; \
	else \
		echo "limpid: no $(if $(PYTHON),$(PYTHON),python3) here: install Python 3.11 or later, or name one with make PYTHON=..." >&2; \
	fi; exit 1

.venv/.runtime: $(BIN)/python $(INPUTS)
	@if [ "$$(uname -s)" = Linux ] && [ -z "$(PIP_ARGS)" ] && ! command -v nvidia-smi >/dev/null 2>&1 \
		&& ! $(BIN)/python -c 'import torch' 2>/dev/null; then \
		echo "No NVIDIA GPU seen. pip's usual PyTorch for Linux may bring gigabytes of CUDA; README, 'Set-up', names a smaller one."; \
	fi
	@echo "Installing what limpid needs to run"
	@$(INSTALL) -e .
	@touch $@

.venv/.whole: .venv/.runtime
	@echo "Installing what its developers need"
	@$(INSTALL) -e ".[dev]"
	@if ! command -v chromium >/dev/null 2>&1 && [ -z "$$LIMPID_CHROMIUM" ]; then \
		if command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
			echo "Installing Chromium for the tests of the web app"; apt-get install -y -qq chromium >/dev/null; \
		else \
			echo "No Chromium here: the tests of the web app will be skipped (apt install chromium, or LIMPID_CHROMIUM=PATH)."; \
		fi; \
	fi
	@touch $@
