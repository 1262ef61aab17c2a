PYTHON ?= python3
INPUTS ?= data
OUTPUT ?= output
NUM_WORDS ?= 3
# Tests that share services stay with one worker (tests/conftest.py), which takes the slow files first.
PYTEST_OPTIONS ?= --numprocesses 5 --dist loadfile --no-loadscope-reorder

IN_VENV := .venv/bin/python
INSTALLED := .venv/.installed
# Python starts a hundred times in a run of the tests, and each time it would compile them anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(IN_VENV) -m pytest
DEV_INSTALLED := .venv/.installed-dev
BROWSER_INSTALLED := .venv/.installed-browser
DOCS_INSTALLED := .venv/.installed-docs

# What was installed is of no use in a folder that was moved.
ifneq ($(shell sh deployments/setup.sh is-whole && echo whole),whole)
  $(shell rm -f $(INSTALLED) $(DEV_INSTALLED) $(BROWSER_INSTALLED) $(DOCS_INSTALLED))
endif

.PHONY: help setup demo up test soak coverage test-browser docs check bench constraints

help:
	@echo "make demo    run the example on a local Azure Batch; INPUTS=folder OUTPUT=folder NUM_WORDS=n"
	@echo "make up      keep the local stack and its dashboard open until Ctrl-C"
	@echo "make test    run the tests, but those in a browser and the long ones"
	@echo "make soak    run the tests that are long by nature"
	@echo "make coverage   run the tests of both under coverage; what is covered comes last"
	@echo "make test-browser   open the dashboard in Chromium"
	@echo "make docs    build the documentation into build/docs"
	@echo "make check   run the linters, the type checker and the import contracts"
	@echo "make bench   measure"
	@echo "make constraints   take the newest versions of everything into constraints.txt; needs uv"
	@echo "make setup   only install, into .venv and the cache folder"

# What a run needs, and what the developer's targets need beside it.
setup: $(INSTALLED)

# Compiled at once: Prefect starts three times as fast. pip by itself compiles on one core.
$(INSTALLED): pyproject.toml constraints.txt deployments/package.json deployments/setup.sh
	@PYTHON="$(PYTHON)" sh deployments/setup.sh flows
	@$(IN_VENV) -m deployments.local install
	@touch $@

demo: setup
	@$(IN_VENV) -m deployments.local demo --inputs "$(INPUTS)" --output "$(OUTPUT)" --num-words "$(NUM_WORDS)"

up: setup
	@$(IN_VENV) -m deployments.local up --location .local/stack --env-file .local/stack.env

test: $(DEV_INSTALLED)
	@$(PYTEST) -m "not browser and not soak" $(PYTEST_OPTIONS)

soak: $(DEV_INSTALLED)
	@$(PYTEST) -m "soak and not browser" $(PYTEST_OPTIONS)

coverage: $(DEV_INSTALLED)
	@rm -rf build/coverage
	@mkdir -p build/coverage
	@$(IN_VENV) -m coverage run -m pytest -m "not browser" $(PYTEST_OPTIONS)
	@$(IN_VENV) -m coverage combine --quiet
	@$(IN_VENV) -m coverage report
	@echo "Covered: $$($(IN_VENV) -m coverage report --format=total) %"

# Needs a Chromium of the machine's.
test-browser: $(DEV_INSTALLED) $(BROWSER_INSTALLED)
	@$(IN_VENV) -m pytest tests/browser

$(DEV_INSTALLED) $(BROWSER_INSTALLED) $(DOCS_INSTALLED): .venv/.installed-%: $(INSTALLED)
	@PYTHON="$(PYTHON)" sh deployments/setup.sh flows,$*
	@touch $@

docs: $(DOCS_INSTALLED)
	@NO_MKDOCS_2_WARNING=1 $(IN_VENV) -m mkdocs build --quiet --strict

check: $(DEV_INSTALLED)
	@$(IN_VENV) -m ruff check .
	@$(IN_VENV) -m ruff format --check .
	@.venv/bin/lint-imports
	@.venv/bin/basedpyright --project pyproject.toml

# For all Python versions that we claim at once; without an index or a host in it.
constraints:
	@uv pip compile --quiet --upgrade --universal --python-version 3.10 --all-extras --no-annotate --no-header \
		--no-emit-index-url pyproject.toml --output-file constraints.txt

bench: $(DEV_INSTALLED)
	@$(IN_VENV) -m bench
