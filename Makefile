# Everything below works in a fresh clone: the first target that needs it makes .venv and installs the locked versions.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench compare readme lock clean

demo: $(VENV)/.installed ## see an ordinary classifier fall for a shortcut, and methods that do not
	$(BIN)/longway demo

test: $(VENV)/.installed ## run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed ## style, types, and generated text that is out of date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/figures.py --check

bench: $(VENV)/.installed ## measure speed and memory against named references
	$(BIN)/python -m benchmarks

compare: $(VENV)/.installed ## compare all methods on the benchmarks (hours); needs LONGWAY_DATA, see docs/compare.md
	for plan in heads heads-majority heads-groups heads-tuned heads-balanced nets-planted images images-faces axis-groups sitar-digits sitar-perfect sitar-faces; do \
		$(BIN)/longway bench run benchmarks/compare/$$plan.toml --out longway-compare/$$plan || exit 1; \
		mkdir -p results/compare/$$plan; \
		cp longway-compare/$$plan/table.json longway-compare/$$plan/table.md results/compare/$$plan/; \
	done
	$(BIN)/python docs/figures.py

readme: $(VENV)/.installed ## write the figures under results/ into README and docs
	$(BIN)/python docs/figures.py

# torch is pinned to a release, not to a build: pip takes a CPU build of it where one is at hand (find-links or an
# extra index), and the registry's otherwise.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

lock: $(VENV)/.installed ## write the installed versions to requirements.lock
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

clean:
	rm -rf $(VENV) longway-demo
