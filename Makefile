# Two commands set everything up: `make run` and `make test`. They need Python 3.11 or later, pip and make.
PYTHON ?= python3
BIN := .venv/bin
# Python compiles what it imports, and keeps it; of twenty thousand files that are installed, most are never imported
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
STUDY ?= runs/esc10
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run report docs test test-long check format golden lock licences vendor bench bench-data bench-large bench-report bench-robust bench-scaling bench-serving clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

.venv/installed: pyproject.toml constraints.txt
	@echo "Installing auricle into .venv (the first time takes a minute or more)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) --editable '.[train,wandb]'
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt
	@echo "Installing auricle and the tools for tests and checks into .venv (the first time takes minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) --editable '.[dev]'
	@touch .venv/installed $@

run: .venv/installed  ## install, then the study `quickstart` on built-in sounds, and where its report is
	@$(BIN)/auricle study quickstart --out runs/quickstart

report: .venv/installed  ## the report of a study, built anew: STUDY=DIR, else runs/esc10; it is the example in docs/
	@$(BIN)/auricle report $(STUDY)
	@cp $(STUDY)/report/report.pdf docs/report.pdf

docs: .venv/installed-dev  ## build the documents into site/, without a warning; nothing is fetched
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

test: .venv/installed-dev  ## all tests that take seconds; those on real recordings where AURICLE_DATA is set
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-long: .venv/installed-dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -m long

check: .venv/installed-dev  ## lint, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: .venv/installed-dev  ## lay the code out
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

golden: .venv/installed-dev  ## write the golden logits and losses anew; read the difference before you commit it
	@AURICLE_GOLDEN=write $(BIN)/python -m pytest tests/training/test_golden.py

lock: .venv/installed-dev  ## write requirements.lock anew, with the hash of each file, for this Python and system
	@$(BIN)/python tools/lock.py

licences: .venv/installed-dev  ## write docs/licences.md anew, from the packages that are installed
	@$(BIN)/python tools/licences.py

vendor: .venv/installed-dev  ## fetch ONNX Runtime for web pages from npm anew, and check it against its hashes
	@$(BIN)/python tools/vendor.py

bench: .venv/installed-dev $(if $(BUNDLE),bench-serving)  ## how fast we train, attend and prepare, into RESULTS.md; with BUNDLE=DIR a bundle too
	@$(BIN)/python benchmarks/step.py --results RESULTS.md
	@$(BIN)/python benchmarks/kept_memory.py --results RESULTS.md
	@$(BIN)/python benchmarks/attention.py --results RESULTS.md
	@$(BIN)/python benchmarks/preparation.py --results RESULTS.md

bench-data: .venv/installed-dev  ## what the check of a dataset finds, and what it costs, into RESULTS.md
	@$(BIN)/python benchmarks/check.py --results RESULTS.md

bench-large: .venv/installed-dev  ## what thousands of clips cost, made and deleted again, into RESULTS.md: CLIPS="5000 10000"
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/large.py $(if $(CLIPS),--clips $(CLIPS)) --results RESULTS.md

bench-serving: .venv/installed-dev  ## how fast a bundle is, into RESULTS.md: make bench-serving BUNDLE=DIR CELL=DIR
	@$(BIN)/python benchmarks/serving.py $(BUNDLE) $(if $(CELL),--cell $(CELL)) --results RESULTS.md

bench-report: .venv/installed-dev  ## what a report costs, first and again, into RESULTS.md: STUDY=DIR
	@$(BIN)/python benchmarks/report_cost.py $(STUDY) --results RESULTS.md

bench-robust: .venv/installed-dev  ## what kills, flipped bits and hostile input do, and what checkpoints cost, into RESULTS.md
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/robust_kills.py --results RESULTS.md
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/robust_flips.py --results RESULTS.md
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/checkpoints.py --results RESULTS.md
	@$(BIN)/python benchmarks/trackers.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_bundles.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_downloads.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_limits.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_names.py --results RESULTS.md

bench-scaling: .venv/installed-dev  ## two processes and two nodes against one, into RESULTS.md; takes a quarter of an hour
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scaling.py --results RESULTS.md

clean:  ## remove the environment and what the tools leave
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
