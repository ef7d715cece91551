# Two commands do all the set-up: `make disc` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: disc xor test soak check bench pictures clean

disc: .venv/cli.stamp
	$(BIN)/backhand disc

xor: .venv/cli.stamp
	$(BIN)/backhand xor

test: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

# The tests that take minutes.
soak: .venv/soak.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench.stamp
	$(BIN)/python benchmarks/run.py

# The pictures that the README shows, made again.
pictures: .venv/dev.stamp
	$(BIN)/python docs/pictures.py

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# torch first and pinned: pip then finds the small CPU build, and nothing asks for another.
.venv/torch.stamp: constraints.txt | .venv/bin/pip
	$(PIP) torch
	touch $@

.venv/cli.stamp: pyproject.toml .venv/torch.stamp
	$(PIP) --editable '.[cli]'
	touch $@

.venv/dev.stamp: pyproject.toml .venv/torch.stamp
	$(PIP) --editable '.[dev]'
	touch $@

.venv/soak.stamp: pyproject.toml .venv/torch.stamp
	$(PIP) --editable '.[soak]'
	touch $@

.venv/bench.stamp: pyproject.toml .venv/torch.stamp
	$(PIP) --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv disc xor
