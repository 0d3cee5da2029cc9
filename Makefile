# Two commands do everything on a machine with Python 3.11: `make quickstart` and `make test`.

VENV := .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# cpu serves models on the CPU; on a machine with an NVIDIA GPU use `make EXTRA=gpu quickstart`.
EXTRA ?= cpu

.PHONY: quickstart test check format clean

quickstart: $(INSTALLED)
	$(BIN)/datagen run examples/quickstart.yaml --out runs/quickstart

test: $(INSTALLED)
	$(BIN)/python -m pytest

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRA),dev]'
	@# The torchvision that pip resolves may be built for CUDA, and then cannot load beside the CPU build of torch; vLLM
	@# does without it and its companions for models whose picture processor needs Pillow alone.
	@$(BIN)/python -c 'import torchvision' 2>/dev/null \
		|| $(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@
