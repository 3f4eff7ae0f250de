# Two commands do everything from a fresh machine: `make cover SONG=song.mp3` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
STYLE ?= jazz-trio
PYTEST_ARGS ?= -n 2 --dist loadscope --max-worker-restart 0

.PHONY: help setup cover test check format bench clean

help:
	@echo "make cover [SONG=file] [STYLE=jazz-trio]   cover a song (without SONG: an example that is made here)"
	@echo "make test | check | bench | setup | clean"

setup: .venv/.ready

# The package as users have it: pinned packages, the transcription network, FluidSynth and a soundfont.
.venv/.ready: pyproject.toml constraints.txt tools/system-packages.sh
	PYTHON=$(PYTHON) sh tools/system-packages.sh python
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt basic-pitch
	sh tools/system-packages.sh sound
	@touch $@

# What developers need on top: test tools and a browser for the report's tests.
.venv/.dev: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,train,wavenet]'
	sh tools/system-packages.sh browser
	@touch $@

cover: .venv/.ready
ifdef SONG
	$(BIN)/contrafact cover "$(SONG)" --style $(STYLE)
else
	$(BIN)/python -m contrafact.data.example covers/example
	$(BIN)/contrafact cover covers/example/*.flac --style $(STYLE)
endif

test: .venv/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev
	for script in transcription style_corpora rendering fuzz covers long_song sound phase_recovery vocoder walking_bass drums pop_piano improviser ragtime harmony style_classifier vocals level_weights neural_level_weights reader_weights key_confidence melody_weights startup drift; do \
		$(BIN)/python benchmarks/$$script.py || exit 1; \
	done
	for reader in mixed heuristic neural; do \
		$(BIN)/python benchmarks/leadsheet.py --method $$reader || exit 1; \
		$(BIN)/python benchmarks/leadsheet.py --hard --method $$reader || exit 1; \
	done
	$(BIN)/python benchmarks/covers.py --figures --style jazz-piano bossa-nova jazz-waltz ballad pop-piano ragtime
	$(BIN)/python benchmarks/results_page.py

clean:
	rm -rf .venv build dist
