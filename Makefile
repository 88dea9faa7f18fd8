# make demo | make test | make check | make bench
# Everything is installed into .venv; nothing outside the checkout is touched.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= dev
BIN := $(VENV)/bin
SAMPLE := sample_data/langid
OUT := demo_out

.PHONY: demo test lint types check bench clean

demo: $(VENV)/.core
	mkdir -p $(OUT)
	$(BIN)/lacal tune-tau $(SAMPLE)/val.npz --counts $(SAMPLE)/counts.csv -o $(OUT)/calibration.json --force
	$(BIN)/lacal adjust $(SAMPLE)/test.npz --calibration $(OUT)/calibration.json -o $(OUT)/predictions.parquet \
	  --report $(OUT)/report.html --force

test: $(VENV)/.$(EXTRAS)
	$(BIN)/python -m pytest -q

lint: $(VENV)/.$(EXTRAS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.$(EXTRAS)
	$(BIN)/mypy

check: lint types test

bench: $(VENV)/.$(EXTRAS)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/tau_search.py
	$(BIN)/python benchmarks/tau_selection.py
	$(BIN)/python benchmarks/evaluation.py

clean:
	rm -rf $(VENV) $(OUT)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plots]'
	touch $@

$(VENV)/.$(EXTRAS): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@
