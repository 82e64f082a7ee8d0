# make demo | test | check | bench | docs | release | env
# Each target makes its own environment first (.venv, about 4 minutes and 3 GB, once). Needed: Python >= 3.11 with
# venv, and a C compiler (pycortex is compiled). Another interpreter: make env PYTHON=/path/to/python3.12

VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
EXTRAS := cortex,scale,vision,bids,bands,rsa,dev

# One thread pool at a time: BLAS threads under parallel workers are many times slower than one thread.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MPLBACKEND=Agg

.DEFAULT_GOAL := help
.PHONY: help env demo test check bench table7 docs lint types floors import-time doctest docs-code clean \
        release wheel-check lowest

help:
	@echo "make demo    simulated fMRI, EEG and MEG through every analysis: figures and one page in results/demo"
	@echo "make test    the tests"
	@echo "make check   style, types, floors of the house, import time, doctests, documentation and its code"
	@echo "make bench   speed against scikit-learn and MNE"
	@echo "make table7  linear, MLP and Transformer decoders of simulated fMRI, EEG and MEG, both stages: about an hour of one core"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make release the wheel and the source archive in dist/, looked into; make wheel-check installs the wheel alone"
	@echo "make lowest  the tests on the lowest versions that pyproject.toml allows"
	@echo "make env     only the environment (.venv)"

env: $(STAMP)

# The versions in constraints.txt were run together on Python 3.11, so that one is tried first.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(PY) || { \
	  for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      echo "making $(VENV) with $$python"; exec "$$python" -m venv $(VENV); \
	    fi; \
	  done; \
	  echo "error: no Python >= 3.11 with the venv module among: $(or $(PYTHON),python3.11 python3.12 python3.13 python3)." >&2; \
	  echo "       Install one (on Debian: python3 and python3-venv) or name it: make env PYTHON=/path/to/python" >&2; \
	  exit 1; }
	$(PY) -m pip install -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

demo: $(STAMP)
	$(VENV)/bin/neurodecode demo --out results/demo

test: $(STAMP)
	$(ONE_THREAD) $(PY) -m pytest -n 2

check: lint types floors import-time doctest docs docs-code

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(STAMP)
	$(PY) -m mypy

floors: $(STAMP)
	$(VENV)/bin/lint-imports

import-time: $(STAMP)
	$(PY) bench/import_time.py

doctest: $(STAMP)
	$(ONE_THREAD) $(PY) -m pytest -q --doctest-modules neurodecode

bench: $(STAMP)
	$(ONE_THREAD) $(PY) bench/run.py

table7: $(STAMP)
	$(ONE_THREAD) $(PY) analyses/fitters.py --table 7 --out results
	$(ONE_THREAD) $(PY) figures/fitters.py results/table_7.nc --out results

docs: $(STAMP)
	$(PY) -m sphinx -W --keep-going -q -a -b html docs docs/_build/html
	$(PY) docs/check_site.py --no-browser
	@echo "docs/_build/html/index.html"

# the code of README.md and docs/ is run as it stands, and what takes hours or a dataset held against what it names
docs-code: $(STAMP)
	$(ONE_THREAD) $(PY) docs/run_blocks.py

release: $(STAMP)
	$(PY) release/wheel.py

# in a new environment, from another folder: the core, every extra's message, then the demo (about 10 minutes, 3 GB)
wheel-check: $(STAMP)
	$(PY) release/wheel.py --out $(or $(FOLDER),.venv-wheel)/dist --alone $(or $(FOLDER),.venv-wheel) --demo

# an environment of its own, about 7 GB; TESTS="tests/test_ridge.py" for some of them
lowest: $(STAMP)
	$(PY) release/lowest.py --env .venv-lowest $(TESTS)

clean:
	rm -rf docs/_build docs/api docs/_gallery docs/gallery.md .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
