# Two commands set everything up: `make run` and `make test`. They need Python 3.11.4 or later, pip and make.
PYTHON ?= python3
BIN := .venv/bin
# Python compiles files when they are imported; of twenty thousand installed files, most never are
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
STUDY ?= runs/esc10
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run report docs test test-long check format golden lock licences vendor bench bench-acdnet bench-coverage bench-data bench-gpu bench-large bench-race bench-report bench-robust bench-scaling bench-serving clean
help:  ## show this list
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

run: .venv/installed  ## install, then run the study `quickstart` on built-in sounds
	@$(BIN)/auricle study quickstart --out runs/quickstart

report: .venv/installed  ## rebuild the report of STUDY=DIR (default runs/esc10), and copy it to docs/ as the example
	@$(BIN)/auricle report $(STUDY)
	@cp $(STUDY)/report/report.pdf docs/report.pdf

docs: .venv/installed-dev  ## build the documents into site/; warnings are errors, no network is needed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

test: .venv/installed-dev  ## run the quick tests, with those on real recordings if AURICLE_DATA is set
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-long: .venv/installed-dev  ## run the tests that take minutes
	@$(BIN)/python -m pytest -m long

check: .venv/installed-dev  ## check lint, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: .venv/installed-dev  ## format the code
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

golden: .venv/installed-dev  ## regenerate the golden logits and losses; read the difference before you commit it
	@AURICLE_GOLDEN=write $(BIN)/python -m pytest tests/training/test_golden.py

lock: .venv/installed-dev  ## regenerate requirements.lock, with hashes, for this Python and system
	@$(BIN)/python tools/lock.py

licences: .venv/installed-dev  ## regenerate docs/licences.md from the installed packages
	@$(BIN)/python tools/licences.py

vendor: .venv/installed-dev  ## download ONNX Runtime for web pages from npm, and check its hashes
	@$(BIN)/python tools/vendor.py

bench: .venv/installed-dev $(if $(BUNDLE),bench-serving)  ## measure the speed of training, attention and decoding; with BUNDLE=DIR of a bundle too
	@$(BIN)/python benchmarks/step.py --results RESULTS.md
	@$(BIN)/python benchmarks/kept_memory.py --results RESULTS.md
	@$(BIN)/python benchmarks/attention.py --results RESULTS.md
	@$(BIN)/python benchmarks/preparation.py --results RESULTS.md

bench-data: .venv/installed-dev  ## measure what the check of a dataset finds, and its time
	@$(BIN)/python benchmarks/check.py --results RESULTS.md

bench-coverage: .venv/installed-dev  ## measure how often 95 % intervals contain the true accuracy
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/interval_coverage.py --results RESULTS.md

bench-acdnet: .venv/installed-dev  ## measure the cost of ACDNet, the best published network, against ours: STUDY=DIR
	@$(BIN)/python benchmarks/acdnet.py $(STUDY) --results RESULTS.md

bench-gpu: .venv/installed-dev  ## check and measure training on a CUDA GPU, with a PyTorch that supports it
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/gpu.py --results RESULTS.md

bench-large: .venv/installed-dev  ## measure check, cache, training and memory on thousands of clips: CLIPS="5000 10000"
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/large.py $(if $(CLIPS),--clips $(CLIPS)) --results RESULTS.md

bench-race: .venv/installed-dev  ## measure the time to the same accuracy, ours beside a ResNet-18 and a forest
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/race.py --results RESULTS.md

bench-serving: .venv/installed-dev  ## measure the speed of a bundle: make bench-serving BUNDLE=DIR CELL=DIR
	@$(BIN)/python benchmarks/serving.py $(BUNDLE) $(if $(CELL),--cell $(CELL)) --results RESULTS.md

bench-report: .venv/installed-dev  ## measure the time of a report, the first time and again: STUDY=DIR
	@$(BIN)/python benchmarks/report_cost.py $(STUDY) --results RESULTS.md

bench-robust: .venv/installed-dev  ## measure the effect of kills, flipped bits and hostile input, and the cost of checkpoints
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/robust_kills.py --results RESULTS.md
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/robust_flips.py --results RESULTS.md
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/checkpoints.py --results RESULTS.md
	@$(BIN)/python benchmarks/trackers.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_bundles.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_downloads.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_limits.py --results RESULTS.md
	@$(BIN)/python benchmarks/robust_names.py --results RESULTS.md

bench-scaling: .venv/installed-dev  ## measure two processes and two nodes against one; takes 15 minutes
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scaling.py --results RESULTS.md

clean:  ## remove the environment and the caches of tools
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
