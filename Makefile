# The one list of commands. `make` alone prints it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.9

VENV := .venv
TOOLS := .tools
BIN := $(VENV)/bin
UV := $(TOOLS)/bin/uv
LOCK := requirements/dev.lock
INSTALLED := $(VENV)/.installed

# Where this is set, every start of Airflow compiles itself anew: seconds, each time.
unexport PYTHONDONTWRITEBYTECODE
# uv and pip would otherwise prefer an environment that happens to be active.
unexport VIRTUAL_ENV
unexport PYTHONHOME
unexport PYTHONPATH

# Companies put their own certificate authority where the system looks for it; uv looks there only when told to.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= true
# The same for uv before 0.11, which comes with the Airflow 3.1 of `make test-airflow`.
export UV_NATIVE_TLS ?= $(UV_SYSTEM_CERTS)
endif

# What `make demo`, `make serve`, `make stop` and `make commit` can be told: PORT=8081, ONCE=1, KIND=dbt, DAGCTL_HOME=/some/folder.
export PORT ONCE KIND DAGCTL_HOME

# Two cores are full with two processes; tests on a real Airflow mostly wait, so there a third finds room.
PROCESSES := 2
test test-long: PROCESSES := 3
# How long each test took, for `make test-slowest`.
TIMES := .pytest_cache/times.xml
PYTEST = $(BIN)/python -m pytest -n $(PROCESSES) --dist loadscope --no-loadscope-reorder --ignore=tests/browser --ignore=tests/compat --ignore=tests/truth --junitxml=$(TIMES)
# A little less than what `make coverage` says: percent of lines and branches of the package.
COVERED := 80
COVERING := --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED)

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## Make .venv with the locked requirements and this package (skipped while nothing changed)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "Python 3.10 or newer is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo not there). Try: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(TOOLS) || { \
	  echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing uv $(UV_VERSION) ..."
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(BIN)/python: $(UV)
	@$(UV) venv --quiet --allow-existing --no-python-downloads --python $(TOOLS)/bin/python $(VENV)

$(INSTALLED): $(BIN)/python $(LOCK) pyproject.toml
	@echo "Installing the locked requirements into $(VENV) ..."
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $(LOCK)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
	@echo "Installed: $$($(BIN)/python --version), Airflow $$(basename $(VENV)/lib/python*/site-packages/apache_airflow-*.dist-info | sed 's/apache_airflow-//; s/.dist-info//')"

# What writes the lock. Versions stay as long as they fit; with UPGRADE=--upgrade all become the newest that fit.
COMPILE = $(UV) pip compile --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --group dev pyproject.toml -c requirements/airflow.txt -o $(LOCK)

.PHONY: lock
lock: $(BIN)/python ## Resolve the requirements again and write requirements/dev.lock; what still fits stays
	$(COMPILE)

.PHONY: update
update: $(BIN)/python ## Take the newest version of each requirement, say what moved, install and audit it; then: make lint test
	@cp $(LOCK) $(LOCK).before
	@$(COMPILE) --upgrade --quiet
	@diff <(grep -E '^[a-z0-9]' $(LOCK).before) <(grep -E '^[a-z0-9]' $(LOCK)) | sed -n 's/ \\$$//; s/^</ was/p; s/^>/ is /p' || true
	@rm -f $(LOCK).before
	@$(MAKE) install audit

.PHONY: audit
audit: install ## Known holes and licences of what is locked (MUST_ASK=1 fails where the database of holes cannot be asked)
	@$(BIN)/python requirements/audit.py audit $(if $(MUST_ASK),--must-ask)

.PHONY: sbom
sbom: install ## What the wheel is made of, dist/wheel.cdx.json (CycloneDX); with TOOL=sqlmesh VERSION=0.236.4 a runner image
ifdef TOOL
	@[ -n "$(VERSION)" ] || { echo "Of which version? make sbom TOOL=$(TOOL) VERSION=..." >&2; exit 2; }
	@python=$$(DAGCTL_ENVIRONMENTS_DIR=$(CURDIR)/$(TOOLS)/environments $(BIN)/python -m dagctl_provider.runner install \
	  --tool $(TOOL) --version $(VERSION) $(foreach extra,$(EXTRAS),--extra $(extra)) | tail -n 1); \
	$(BIN)/python requirements/audit.py sbom dist/runner-$(TOOL)-$(VERSION).cdx.json --python "$$python"
else
	@$(BIN)/python requirements/audit.py sbom dist/wheel.cdx.json
endif

.PHONY: demo
demo: install ## Watch a commit become an approved, applied plan (KIND=dbt for dbt; ONCE=1 approves by itself; PORT=8080)
	@$(BIN)/python -m demo run

.PHONY: serve
serve: install ## Start the same Airflow with the sample project and leave it running
	@$(BIN)/python -m demo serve

.PHONY: commit
commit: install ## Make the sample project's second commit while `make serve` runs
	@$(BIN)/python -m demo commit

.PHONY: stop
stop: ## Stop what `make serve` or a broken-off `make demo` left running
	@if [ -f $(INSTALLED) ]; then $(BIN)/python -m demo stop; else echo "Nothing runs: nothing is installed here."; fi

.PHONY: test
test: install ## The tests, those on a real Airflow included (8 minutes); or just one: make test FILE=path[::name] (COVERAGE=1 says of how much)
ifdef FILE
	@$(BIN)/python -m pytest -p no:xdist "$(FILE)"
else
	@$(PYTEST) -m "not long" $(if $(COVERAGE),$(COVERING))
endif

.PHONY: test-long
test-long: install ## What takes minutes on its own: kills, tool versions, 40 dbt commits, pods through a whole Airflow (WIDE=1: every version and every node)
	@$(if $(WIDE),DAGCTL_WIDE=1) $(PYTEST) -m long

.PHONY: test-quick
test-quick: install ## The tests that start no Airflow and install no tool
	@$(PYTEST) -m "not slow"

.PHONY: mutants
mutants: install ## How many small slips in a module its tests notice: make mutants MODULES="domain/plans services/*" SAMPLE=20 (ALL=1: every one)
	@$(BIN)/python -m tests.mutants $(if $(MODULES),--modules $(MODULES)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(if $(ALL),--all)

.PHONY: test-truth
test-truth: install ## What is true of the changes of many small projects, and the warehouses compared (5 minutes; CASE="part of a name" for one)
	@CASE="$(CASE)" $(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadscope tests/truth

.PHONY: test-slowest
test-slowest: install ## The twenty slowest tests and folders of the last run of several
	@$(BIN)/python -m tests.slowest $(TIMES)

.PHONY: coverage
coverage: install ## The quick tests, and how much of the package they run, branches included; too little fails
	@$(PYTEST) -m "not slow" $(COVERING)

.PHONY: test-browser
test-browser: install ## The pages in a real browser on a real Airflow (needs Chromium, or CHROMIUM=/path/to/it)
	@$(BIN)/python -m pytest -p no:xdist -q tests/browser

.PHONY: test-airflow
test-airflow: install ## The main job on another Airflow, from a built wheel in an environment of its own: make test-airflow AIRFLOW=3.1
	@[ -n "$(AIRFLOW)" ] || { echo "Which one? make test-airflow AIRFLOW=3.1.8, or 3.1 for its newest" >&2; exit 2; }
	@$(BIN)/python -m tests.compat $(AIRFLOW)

.PHONY: test-kubernetes
test-kubernetes: install ## The scenarios of pods on a real cluster: KUBECONFIG=... RUNNER_IMAGE=... and TEST_REPOSITORY_HOSTPATH=... or TEST_HOST_ADDRESS=...
	@[ -n "$(KUBECONFIG)" ] && [ -n "$(RUNNER_IMAGE)" ] || { echo "Usage: make test-kubernetes KUBECONFIG=FILE RUNNER_IMAGE=IMAGE with TEST_REPOSITORY_HOSTPATH=FOLDER or TEST_HOST_ADDRESS=ADDRESS; see tests/kubernetes/places.py" >&2; exit 2; }
	@DAGCTL_TEST_KUBECONFIG="$(KUBECONFIG)" DAGCTL_TEST_RUNNER_IMAGE="$(RUNNER_IMAGE)" TEST_REPOSITORY_HOSTPATH="$(TEST_REPOSITORY_HOSTPATH)" \
	  TEST_HOST_ADDRESS="$(TEST_HOST_ADDRESS)" $(BIN)/python -m pytest -p no:xdist -q tests/kubernetes/test_scenarios.py

.PHONY: lint
lint: install ## Style, format, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: test-frontend
test-frontend: ## Lint and unit tests of the scripts of the pages (needs node and npm; nothing else here does)
	@cd frontend && npm ci --silent && npm run --silent lint && npm test --silent

.PHONY: compare
compare: install ## What two versions answer, byte by byte, before and after a restructuring: make compare BASE=main (KEEP=FOLDER keeps the answers)
	@[ -n "$(BASE)" ] || { echo "With which version? make compare BASE=main, or any other revision of git" >&2; exit 2; }
	@$(BIN)/python -m tests.compare $(BASE) $(if $(KEEP),--keep $(KEEP))

.PHONY: format
format: install ## Put the code in shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: docs
docs: install ## Write the generated reference pages anew
	@$(BIN)/python docs/generate.py

.PHONY: assets
assets: ## Build the scripts and styles of the pages anew (needs node; using the package does not)
	@cd frontend && npm ci --silent && node build.mjs

.PHONY: screenshots
screenshots: install ## Take the pictures of the documents from the demo anew (needs Chromium)
	@$(BIN)/python -m demo.screenshots

.PHONY: benchmark
benchmark: install ## Run one benchmark: make benchmark NAME=approval
	@[ -n "$(NAME)" ] || { echo "Which one? make benchmark NAME=... with one of: $$(cd benchmarks && ls -d */ *.py 2>/dev/null | sed 's#/$$##; s#\.py$$##' | grep -v -E '^(__|common)' | sort | xargs)" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.$(NAME)

.PHONY: image
image: ## Build a runner image for pods: make image TOOL=sqlmesh VERSION=0.236.4 (EXTRAS=snowflake REQUIREMENTS=path IMAGE=name:tag PUSH=1)
	@PYTHON=$(PYTHON) sh images/runner/build.sh

.PHONY: clean
clean: stop ## Stop the demo and remove its state and all caches (.venv stays)
	@if [ -f $(INSTALLED) ]; then $(BIN)/python -m demo clean; fi
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist .coverage
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './$(TOOLS)/*' -prune -exec rm -rf {} +
