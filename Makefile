# make run    set up and start Maskloom on http://127.0.0.1:8501
# make check  lint, format, types and the fast tests: before every commit
# make test   all tests, with the browser they need
# make soak   long forms of the tests: many faults, fuzzing, load, memory
# make docs   build the documentation site into build/docs
# make lint   repair what ruff can repair, and format
# make audit  ask PyPI for known vulnerabilities of the pinned packages (needs internet access)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
# Tests in a browser mostly wait for it: with them two cores have work for three processes.
PYTEST = PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest --dist loadscope

.PHONY: run check test soak docs lint audit clean

run: .venv/run.stamp
	.venv/bin/streamlit run dashboard/app.py

check: .venv/test.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(PYTEST) -n 2 -m "not slow and not browser and not soak"

test: .venv/test.stamp
	sh .ci/install-browser
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(PYTEST) -n 3 -m "not soak"

soak: .venv/test.stamp
	sh .ci/install-browser
	$(PYTEST) -n 3 -m soak -o faulthandler_timeout=0
	.venv/bin/python -m benchmarks.faults operations --faults 200 --seed 1 --seed 2 --seed 3
	.venv/bin/python -m benchmarks.faults inject --faults 200 --seed 1 --seed 2 --seed 3
	.venv/bin/python -m benchmarks.faults inject --faults 80 --database postgresql
	.venv/bin/python -m benchmarks.faults inject --faults 100 --store s3
	.venv/bin/python -m benchmarks.fuzz files --minutes 50
	.venv/bin/python -m benchmarks.attempts make

docs: .venv/test.stamp
	.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs . build/docs

lint: .venv/test.stamp
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt constraints.txt | .venv/bin/python
	.venv/bin/python $(PIP_INSTALL) -r requirements.txt
	touch $@

.venv/test.stamp: requirements-dev.txt requirements-s3.txt .venv/run.stamp | .venv/bin/python
	.venv/bin/python $(PIP_INSTALL) -r requirements-dev.txt
	.venv/bin/python $(PIP_INSTALL) --no-deps -r requirements-s3.txt
	touch $@

audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python $(PIP_INSTALL) pip-audit==2.10.1
	.venv-audit/bin/pip-audit --strict --disable-pip --no-deps -r requirements.txt -r requirements-dev.txt -r requirements-s3.txt -r constraints.txt

clean:
	rm -rf .venv .venv-audit .pytest_cache .ruff_cache .mypy_cache build dist *.egg-info
