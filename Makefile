# Two commands matter: `make up` (everything with simulated people and test money) and `make test` (every check).
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m pytest

.PHONY: help install up demo test test-fast e2e lightning chaos crash lint browser peers bench clean

help: ## Show this help
	@grep -E '^[a-z0-9-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  %-12s %s\n", $$1, $$2}'

install: .venv/installed ## Install everything into .venv

# Byte code is written here, for where PYTHONDONTWRITEBYTECODE is set every process of every start would compile all it imports.
.venv/installed: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q uv
	$(BIN)/uv sync --locked --quiet --compile-bytecode
	$(BIN)/python -m compileall -q core connectors hub
	@touch $@

up: install ## Install, migrate, start everything with a seeded demo on http://127.0.0.1:8000
	@$(BIN)/hub demo

demo: install ## Run the demo until 20 tasks are paid, the books balance and the careless are caught, then stop
	@$(BIN)/hub demo --check

lint: install ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

browser: ## Install the browser that the page tests drive (Debian's chromium, as root or with sudo)
	@./tests/install_browser.sh

peers: ## Install other people's clients that judge our fakes and packages (npm, in tests/peers)
	@./tests/peers/install.sh

test: install lint browser peers ## Every check: lint, types, layers, all tests but the slow rings, the demo proven
	$(RUN) -n 2 --dist loadgroup -m "not chaos and not e2e and not lightning and not crash" tests
	$(BIN)/hub demo --check

e2e: install browser ## A slow ring: a real browser and whole stacks, from a ticket or a sign-up to the money
	$(RUN) -m "e2e" tests

chaos: install ## The slow ring: kills every process at every named point, and every write into a ticket, on both databases
	$(RUN) -m "chaos" tests

crash: install ## The slowest ring: every point of a payout x every fate, on both databases and two real nodes; schedules, mutants
	./hub/demo/lightning/install.sh
	$(RUN) -m "crash" tests

lightning: install ## A slow ring: a real LNbits server and two real Lightning nodes (Electrum) pay through our rails
	./tests/lightning/install_lnbits.sh
	./hub/demo/lightning/install.sh
	$(RUN) -m "lightning" tests

test-fast: install ## Unit, property and contract tests
	$(RUN) -n 2 tests/unit tests/property tests/contract tests/architecture

bench: install ## Figures, one JSON line each; ONLY=name runs one
	$(if $(filter-out crash settle,$(ONLY)),,./hub/demo/lightning/install.sh)
	$(BIN)/python -m tests.bench $(ONLY)

clean: ## Remove what was installed and the demo's data
	rm -rf .venv .hub
