PYTHON ?= python3
INPUTS ?= data
OUTPUT ?= output
NUM_WORDS ?= 3
# By groups (tests/conftest.py): tests that share services, which are started once, stay together.
PYTEST_OPTIONS ?= --numprocesses 3 --dist loadgroup --no-loadscope-reorder

IN_VENV := .venv/bin/python
INSTALLED := .venv/.installed
# Python starts a hundred times in a run of the tests, and each time it would compile them anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(IN_VENV) -m pytest
BROWSER_INSTALLED := .venv/.installed-browser
DOCS_INSTALLED := .venv/.installed-docs

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

setup: $(INSTALLED)

# Compiled at once: Prefect starts three times as fast. pip by itself compiles on one core.
$(INSTALLED): pyproject.toml constraints.txt deployments/package.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing into .venv (once)"
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
		uv pip install --quiet --python $(IN_VENV) --compile-bytecode -c constraints.txt -e '.[dev]'; \
	else \
		$(PYTHON) -m venv .venv && \
		$(IN_VENV) -m pip install --quiet --no-compile -c constraints.txt -e '.[dev]' && \
		{ $(IN_VENV) -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true; }; \
	fi
	@$(IN_VENV) -m deployments.local install
	@touch $@

demo: setup
	@$(IN_VENV) -m deployments.local demo --inputs "$(INPUTS)" --output "$(OUTPUT)" --num-words "$(NUM_WORDS)"

up: setup
	@$(IN_VENV) -m deployments.local up --location .local/stack --env-file .local/stack.env

test: setup
	@$(PYTEST) -m "not browser and not soak" $(PYTEST_OPTIONS)

soak: setup
	@$(PYTEST) -m "soak and not browser" $(PYTEST_OPTIONS)

coverage: setup
	@rm -rf build/coverage
	@mkdir -p build/coverage
	@$(IN_VENV) -m coverage run -m pytest -m "not browser" $(PYTEST_OPTIONS)
	@$(IN_VENV) -m coverage combine --quiet
	@$(IN_VENV) -m coverage report
	@echo "Covered: $$($(IN_VENV) -m coverage report --format=total) %"

# Needs a Chromium of the machine's.
test-browser: setup $(BROWSER_INSTALLED)
	@$(IN_VENV) -m pytest tests/browser

$(BROWSER_INSTALLED) $(DOCS_INSTALLED): .venv/.installed-%: $(INSTALLED)
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --python $(IN_VENV) -c constraints.txt -e '.[$*]'; \
	else \
		$(IN_VENV) -m pip install --quiet -c constraints.txt -e '.[$*]'; \
	fi
	@touch $@

docs: $(DOCS_INSTALLED)
	@$(IN_VENV) -m mkdocs build --quiet --strict

check: setup
	@$(IN_VENV) -m ruff check .
	@$(IN_VENV) -m ruff format --check .
	@.venv/bin/lint-imports
	@.venv/bin/basedpyright

# For all Python versions that we claim at once; without an index or a host in it.
constraints:
	@uv pip compile --quiet --upgrade --universal --python-version 3.10 --all-extras --no-annotate --no-header \
		--no-emit-index-url pyproject.toml --output-file constraints.txt

bench: setup
	@$(IN_VENV) -m bench
