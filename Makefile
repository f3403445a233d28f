# make run    set up and start Maskloom on http://127.0.0.1:8501
# make test   set up what the tests need, the browser included, and run them all
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: run test lint clean

run: .venv/run.stamp
	.venv/bin/streamlit run dashboard/app.py

test: .venv/test.stamp
	sh .ci/install-browser
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m pytest -n 2 --dist loadgroup

lint: .venv/test.stamp
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.txt constraints.txt | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test.stamp: requirements-dev.txt .venv/run.stamp | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache
