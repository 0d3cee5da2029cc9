# Two commands do everything on a machine with Python 3.11, 3.12 or 3.13: `make quickstart` and `make test`.

VENV := .venv
# Those for which every pinned package is there; the newest that is installed and can make an environment is taken.
PYTHONS := 3.13 3.12 3.11
USABLE := import ensurepip, sys, venv; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])
PYTHON ?= $(shell for python in $(PYTHONS:%=python%) python3 python; do \
	$$python -c '$(USABLE)' $(PYTHONS) 2>/dev/null && echo $$python && break; done)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# cpu serves models on the CPU; on a machine with an NVIDIA GPU use `make EXTRA=gpu quickstart`.
EXTRA ?= cpu

TRAINERS := .trainers

.PHONY: quickstart test test-fast trainers check format clean

quickstart: $(INSTALLED)
	$(BIN)/datagen run examples/quickstart.yaml --out runs/quickstart

test: $(INSTALLED) $(TRAINERS)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# The loaders of trainers, for the tests of exports. They pin libraries against each other, but their code that reads data
# does without most of them: each is installed without its dependencies into a folder of its own.
trainers: $(TRAINERS)/.installed

# What needs neither Ray nor vLLM nor a browser.
test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -q -m "not ray and not vllm and not browser and not slow"

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(TRAINERS) runs

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "datagen needs one of Python $(PYTHONS) with its module venv (Debian: python3-venv);" \
		"install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRA),dev]'
	@# The torchvision that pip resolves may be built for CUDA, and then cannot load beside the CPU build of torch; vLLM
	@# does without it and its companions for models whose picture processor needs Pillow alone.
	@$(BIN)/python -c 'import torchvision' 2>/dev/null \
		|| $(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

$(TRAINERS)/.installed: $(wildcard tests/trainers/requirements/*.txt) | $(INSTALLED)
	rm -rf $(TRAINERS)
	@for list in tests/trainers/requirements/*.txt; do \
		$(BIN)/python -m pip install --quiet --no-deps --requirement $$list \
			--target $(TRAINERS)/$$(basename $$list .txt) || exit 1; done
	@touch $@
