# make run    set up and start Maskloom on http://127.0.0.1:8501
# make test   set up what the tests need, the browser included, and run them all
# make audit  ask PyPI whether a fault is known in any pinned package (takes internet access)
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: run test lint audit clean

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

audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	.venv-audit/bin/pip-audit --strict --disable-pip --no-deps -r requirements.txt -r requirements-dev.txt -r constraints.txt

clean:
	rm -rf .venv .venv-audit .pytest_cache .ruff_cache
