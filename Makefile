# What a newcomer needs: Python 3.11 or later, and make. Everything else is installed into .venv by the first target that needs it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check bench format clean

help:  ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done

$(READY): pyproject.toml
	@echo "Installing syncagent and its tools into $(VENV) (about half a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("syncagent needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(READY)
	@echo "Installed."

demo: $(READY)  ## watch leads scored, handed off, answered, breached, recycled, brought back (under a minute, no network)
	@$(BIN)/syncagent demo

test: $(READY)  ## run all tests
	@echo "Running the tests, a process a core; some of them kill the agent a thousand times, so allow for a quarter of an hour ..."
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)  ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## print speed as ratios against ceilings measured in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

format: $(READY)  ## let ruff mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
