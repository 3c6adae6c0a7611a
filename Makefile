# PEX Sync. `make` alone tells what there is. Everything runs in a virtual environment of its own, .venv.

PORT ?= 8000
SANDBOX_PORT ?= 8001
WORKERS ?= 2
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST = $(RUN) -m pytest $(if $(SPECS),--specs="$(SPECS)") $(ARGS)
REPORT = $(if $(REPORTS),--junitxml="$(REPORTS)/$(1).xml")

export PORT SANDBOX_PORT

.DEFAULT_GOAL := help
.PHONY: help demo test test-database browser check bench chaos lock clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    try PEX Sync here, with simulated companies; needs nothing but Python (PORT=, SANDBOX_PORT=)"
	@echo "make test    run the tests (SPECS=dir with the official schemas; DATABASE_URL and REDIS_URL are used if set)"
	@echo "make check   formatting, lint, types, import rules, migrations, locks, container files"
	@echo "make bench   measure against the design's bars (ONLY=name for one)"
	@echo "make chaos   break everything at random and check the books (SEED=, LENGTH=short, STORE=postgres)"
	@echo "make lock    resolve the dependencies of pyproject.toml anew into requirements/ (needs uv)"
	@echo "make clean   forget the demo's data, the virtual environment and every cache"

demo: $(VENV)/.demo
	@$(RUN) -m demo

test: $(VENV)/.dev
	$(PYTEST) -n $(WORKERS) -m "not browser" $(call REPORT,tests)
ifneq ($(BROWSER),no)
	@if .ci/chromium >/dev/null; then $(MAKE) --no-print-directory browser; else \
	  echo "The browser tests were left out: no Chromium here. Install one (Debian: apt-get install chromium)"; \
	  echo "or name it: make test CHROMIUM=/path/to/chromium"; fi
endif

test-database: $(VENV)/.dev
	$(PYTEST) -n $(WORKERS) -m database $(call REPORT,database)
	STRICT_WALLS=1 $(PYTEST) -m walls $(call REPORT,walls)

browser: $(VENV)/.dev
	@CHROMIUM="$$(.ci/chromium)" && export CHROMIUM || { echo "No Chromium found; name it with CHROMIUM="; exit 1; }; \
	echo "browser tests, with $$CHROMIUM"; \
	$(PYTEST) -m browser $(call REPORT,browser)

check: $(VENV)/.dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	DJANGO_SETTINGS_MODULE=tests.settings $(RUN) manage.py makemigrations --check --dry-run
	DJANGO_SETTINGS_MODULE=tests.settings $(RUN) manage.py check --fail-level WARNING
	$(RUN) .ci/locks.py
	.ci/no-machine-paths
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

bench: $(VENV)/.dev
	$(RUN) -m bench $(if $(ONLY),--only $(ONLY))

chaos: $(VENV)/.dev
	$(RUN) -m chaos $(if $(SEED),--seed $(SEED)) --$(or $(LENGTH),long) --database $(or $(STORE),sqlite) $(ARGS)

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	.ci/lock runtime
	.ci/lock demo --extra sandbox
	.ci/lock dev --extra dev

clean:
	@.ci/clean

# The environment for the tests holds everything the demo needs, so it counts as both.
$(VENV)/.demo: requirements/demo.lock
	@.ci/install demo
	@touch $@

$(VENV)/.dev: requirements/dev.lock
	@.ci/install dev
	@touch $(VENV)/.demo $@
