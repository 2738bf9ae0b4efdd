# Everything happens in .venv, from hash-pinned requirements; the system's Python is not touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
# Those that are not there, or are a shim that runs nothing, are passed over; of a version the first counts.
PYTHONS ?= python3.12 python3.13 $(wildcard $(HOME)/.pyenv/versions/3.1[23].*/bin/python)
INSTALL := $(MAKE) --no-print-directory install
FUZZ_VENV := .venv-fuzz
FUZZ_STAMP := $(FUZZ_VENV)/.installed
AUDIT_VENV := .venv-audit
VERSUS := @PYTHONPATH=benchmarks $(BENCH_VENV)/bin/python -m versus

.PHONY: help install demo test test-pythons browser peers test-peers test-faults soak faults-report bench bench-quick bench-report bench-collector bench-viewer fuzz audit lint format docs screenshots lock clean

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

define environment
$(PYTHON) -m venv $(1)
$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(2).txt
$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef

install: $(STAMP) ## Set up .venv with the locked dependencies

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "iox-otel needs Python 3.11 or later; set PYTHON, e.g. make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(call environment,$(VENV),dev)
	@touch $@

demo: $(STAMP) ## Run the server, write, query, and show the query's trace
	@$(BIN)/python examples/demo.py

test: $(STAMP) ## Run all tests, warnings as errors
	$(BIN)/python -m pytest

test-pythons: ## Run them on the other CPythons that are here (PYTHONS), each in a .venv-VERSION of its own
	@tested=; for python in $(PYTHONS); do \
	  version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue; \
	  case "$$tested " in *" $$version "*) continue;; esac; tested="$$tested $$version"; \
	  echo "Python $$version"; $(INSTALL) VENV=.venv-$$version PYTHON=$$python || exit 1; \
	  .venv-$$version/bin/python -m pytest --ignore tests/viewer/browser || exit 1; \
	  .venv-$$version/bin/python -m pytest tests/faults -m faults --timeout 300 || exit 1; \
	done; test -n "$$tested" || { echo "none of these runs: $(PYTHONS); set PYTHONS"; exit 1; }

browser: ## Install Debian's chromium, for the tests of the viewer's page (needs root)
	@command -v chromium > /dev/null || \
	  { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium > /dev/null; }

peers: $(STAMP) ## Build a Collector and a Jaeger, fetch a Zipkin, once, into PEERS_DIR (needs Go, Java, Maven)
	@PYTHONPATH=tests/peers $(BIN)/python -m peerkit.build

test-peers: peers ## Test against them; says what is missing where Go, Java or Maven is, by "Error 3"
	$(BIN)/python -m pytest tests/peers -m peers --timeout 600

test-faults: $(STAMP) ## Test endings, broken receivers, overload and odd hosts with real processes (5 minutes)
	$(BIN)/python -m pytest tests/faults -m faults --timeout 300

soak: $(STAMP) ## The same at full size: 100 runs of each ending, 10 minutes of load (an hour)
	FAULTS=soak $(BIN)/python -m pytest tests/faults -m faults --timeout 3600

faults-report: $(STAMP) ## Write into docs/reliability.md what make soak, and make fuzz, found last
	@PYTHONPATH=tests/peers:tests/kit:tests/fuzz $(BIN)/python -m faultkit.report

$(BENCH_STAMP): requirements/bench.txt pyproject.toml
	$(call environment,$(BENCH_VENV),bench)
	@touch $@

bench: $(BENCH_STAMP) ## Measure iox-otel and its peers side by side, in an environment of its own
	$(VERSUS) full

bench-quick: $(BENCH_STAMP) ## Measure the most important of it, in less than a minute
	$(VERSUS) quick

bench-report: $(BENCH_STAMP) ## Write into docs/benchmarks.md what make bench measured last
	$(VERSUS) report

bench-collector: peers ## Measure what an agent and a gateway take on this machine (docs/collector.md)
	@PYTHONPATH=tests/peers $(BIN)/python benchmarks/collector.py

bench-viewer: $(STAMP) browser ## Measure the viewer and its page on this machine (docs/viewer.md)
	@PYTHONPATH=tests/peers $(BIN)/python benchmarks/viewer.py

$(FUZZ_STAMP): requirements/fuzz.txt pyproject.toml
	$(call environment,$(FUZZ_VENV),fuzz)
	@touch $@

fuzz: $(FUZZ_STAMP) ## Run FUZZ_RUNS mutated inputs (a million) through each decoder, in about 35 minutes
	@PYTHONPATH=tests/fuzz $(FUZZ_VENV)/bin/python -m fuzzkit $(FUZZ_RUNS)

audit: ## Look the locked dependencies up among the known vulnerabilities (needs the network)
	@test -x $(AUDIT_VENV)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT_VENV) && \
	  $(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	@for each in requirements/*.txt; do \
	  $(AUDIT_VENV)/bin/pip-audit --strict --disable-pip --require-hashes -r $$each || exit 1; done

lint: $(STAMP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## Renew the table in docs/settings.md
	$(BIN)/python -m iox_otel_bridge.settings_table docs/settings.md

screenshots: $(STAMP) browser ## Take the screenshots of docs/viewer.md anew
	@PYTHONPATH=tests/peers $(BIN)/python docs/screenshots.py

lock: $(STAMP) ## Renew requirements/; needs uv (pip install uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --upgrade \
	  --extra server --group dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --upgrade \
	  --constraint requirements/dev.txt --extra server --group bench pyproject.toml -o requirements/bench.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" --upgrade \
	  --constraint requirements/dev.txt --extra server --group fuzz pyproject.toml -o requirements/fuzz.txt

clean: ## Remove .venv and caches
	rm -rf $(VENV) .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
