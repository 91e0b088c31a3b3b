# Everything below works in a fresh clone: the first target that needs it makes .venv and installs the locked versions.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test quick coverage lint stubs bench compare readme lock clean

demo: $(VENV)/.installed ## see an ordinary classifier fall for a shortcut, and methods that do not
	$(BIN)/longway demo

test: $(VENV)/.installed ## run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: $(VENV)/.installed ## run the tests that take less than a minute in all
	$(BIN)/python -m pytest -m quick -n 2 --dist worksteal

coverage: $(VENV)/.installed ## run all tests and print the coverage of each module
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

lint: $(VENV)/.installed stubs ## style, types, the structure of the source, spelling, and generated text out of date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/house.py --check
	$(BIN)/codespell src docs benchmarks tools README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md
	$(BIN)/python docs/figures.py --check

stubs: $(VENV)/.installed ## write the stubs of the lazily imported names, after adding a method
	$(BIN)/python hatch_build.py

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
