# make demo | make test | make check | make coverage | make mutation | make soak | make bench
# Everything is installed into .venv; nothing outside the checkout is touched.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= dev
BIN := $(VENV)/bin
SAMPLE := sample_data/langid
OUT := demo_out

.PHONY: demo test lint types check coverage mutation soak bench clean

demo: $(VENV)/.core
	mkdir -p $(OUT)
	$(BIN)/lacal tune-tau $(SAMPLE)/val.npz --counts $(SAMPLE)/counts.csv -o $(OUT)/calibration.json --force
	$(BIN)/lacal adjust $(SAMPLE)/test.npz --calibration $(OUT)/calibration.json -o $(OUT)/predictions.parquet \
	  --report $(OUT)/report.html --force

# What kills and wears out processes measures when to strike: it has the machine to itself.
test: $(VENV)/.$(EXTRAS)
	$(BIN)/python -m pytest -q -m "not soak" -n auto
	$(BIN)/python -m pytest -q -m soak

lint: $(VENV)/.$(EXTRAS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.$(EXTRAS)
	$(BIN)/mypy

check: lint types test

# Branches that no test takes, which there must be none of; run it with EXTRAS=dev,torch.
coverage: $(VENV)/.$(EXTRAS)
	rm -rf .coverage
	$(BIN)/python -m coverage run -m pytest -q -m "not soak" -n auto
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

# An hour or two: which changes to readers, prior, tau path and writer no test sees; run it with EXTRAS=mutation. It goes
# on where it stopped, or anew without mutants/; `mutmut results` names the survivors and `mutmut show NAME` shows one.
mutation: $(VENV)/.$(EXTRAS)
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/python -m tests.mutation_score

# Hours: the same searches for faults as in the tests, in many more rounds. ARGS="mutants --rounds 1000", for one.
soak: $(VENV)/.$(EXTRAS)
	$(BIN)/python -m tests.soak $(ARGS)

bench: $(VENV)/.$(EXTRAS)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/tau_search.py
	$(BIN)/python benchmarks/tau_selection.py
	$(BIN)/python benchmarks/evaluation.py

clean:
	rm -rf $(VENV) $(OUT) mutants

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plots]'
	touch $@

$(VENV)/.$(EXTRAS): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@
