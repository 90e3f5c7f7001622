# Two commands are all a fresh machine needs: `make run` and `make test`. Python 3.11 or newer is the only tool they ask for.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the project holds itself to. A study or plugin of your own in this folder is yours.
OURS := agents analysis benchmarks configurations coordeval docs flows grounding ledger market_data notebooks tests
COMPILE := $(BIN)/python -m compileall -q -j 0
FLOORS := agents analysis configurations coordeval flows grounding ledger market_data
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# Our matrices are small: threads that wait for the next one take the processors from the other processes.
export OPENBLAS_NUM_THREADS := 1

.PHONY: run grounding test proofs setup setup-dev check lock licences vulnerabilities mutation bench pictures docs newcomer clean

run: setup  ## the embedded study: simulated world, simulated model, no key, no network
	$(BIN)/coordeval run studies/embedded.toml

grounding: setup  ## the grounding game: simulated players, what they lose together, and which repair helps
	$(BIN)/coordeval grounding run studies/grounding.toml

test: setup-dev  ## every test; those of one file in one process, so that what they share is made once
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

proofs: setup-dev  ## the long forms of tests by simulation, which no other command runs: before a release, and after a change of a method
	$(BIN)/pytest -n 3 -m proof

setup: $(VENV)/.runtime  ## .venv from requirements.lock, hashes checked
	@$(COMPILE) $(FLOORS)

setup-dev: $(VENV)/.dev  ## .venv from requirements-dev.lock: the same versions and the development tools
	@$(COMPILE) $(FLOORS)

check: setup-dev  ## lint, format, types, floors
	$(BIN)/ruff check $(OURS)
	$(BIN)/ruff format --check $(OURS)
	$(BIN)/mypy
	$(BIN)/lint-imports

licences: setup-dev  ## the licence of every package that is installed with this one; offline
	$(BIN)/python -m benchmarks.supply_chain licences

vulnerabilities: setup-dev  ## asks osv.dev for what is known of the versions in requirements.lock; the only command that does
	$(BIN)/python -m benchmarks.supply_chain vulnerabilities

mutation: setup-dev $(VENV)/mutation/.made  ## small changes of statistics, gate, budget and journal, and whether a test sees each; an hour
	$(BIN)/python -m benchmarks.mutation --mutmut $(VENV)/mutation/bin/python

bench: setup-dev  ## every figure that the project promises, measured now
	$(BIN)/python -m benchmarks

pictures: setup-dev  ## docs/report.png and the drawings of docs/concepts, from the code as it is now; needs a Chromium
	$(BIN)/python -m docs.pictures
	$(BIN)/python -m docs.drawings

docs: setup-dev  ## the documentation as a site, in site/; every dead link is an error
	$(BIN)/coordeval docs --build site

newcomer: setup-dev  ## the wheel in a new environment, and the tutorial from top to bottom; PYTHON=... takes another interpreter
	$(BIN)/python -m docs.newcomer $(if $(filter-out python3,$(PYTHON)),--python $(PYTHON))

lock: setup-dev  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group pyproject.toml:build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group pyproject.toml:build --group pyproject.toml:dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	echo 'mutmut==3.8.1' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate - -o requirements-mutation.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# pip brings uv (its hash is in the lock), uv brings the rest: seconds instead of minutes. Bytecode is compiled here, once: where
# PYTHONDONTWRITEBYTECODE is set, as in many images, each command would compile a thousand modules anew.
$(VENV)/bin/uv: requirements.lock
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"coordeval needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(COMPILE) -x '/tests?/' $(VENV)/lib
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	touch $@

# mutmut has a pytest of its own, and needs nothing of ours: it only says what it would change.
$(VENV)/mutation/.made: requirements-mutation.lock $(VENV)/.dev
	$(BIN)/uv venv --quiet --clear $(VENV)/mutation
	$(BIN)/uv pip install --quiet --python $(VENV)/mutation/bin/python --require-hashes -r requirements-mutation.lock
	touch $@
