# Needs Python 3.12 or newer and make; everything else goes into .venv/ and .state/.
SHELL := /bin/sh
PY := .venv/bin/python
EMBEDDED := $(PY) -m config.embedded --with-parent

.PHONY: help run test bench chaos check check-django audit lock docs

help:
	@echo 'make run     everything on http://127.0.0.1:8000 (PORT), with demo data the first time (DEMO=0: empty)'
	@echo 'make test    the whole suite (ARGS="-k word" for a part)'
	@echo 'make bench   each operation beside its floor, at 10,000 and 100,000 accounts (BENCH_SIZE, BENCH_ONLY=part, BENCH_JSON=file)'
	@echo 'make chaos   everything killed by turns while events come in (ARGS="--events 300" for a small one; --help)'
	@echo 'make check   format, lint, types, imports, migrations, deployment settings, stale docs'
	@echo 'make audit   known weaknesses in what we depend on and in our code; asks an advisory service'
	@echo 'make lock    resolves the dependencies anew'
	@echo 'make docs    writes the generated pages of docs/'

# The first Python that is new enough: on PATH, in pyenv's versions, in uv's.
define FIND_PYTHON
for python in "$$PYTHON" python3.12 python3.13 python3.14 python3 \
  $$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.*/bin/python 2>/dev/null) \
  $$(ls -d "$${UV_PYTHON_INSTALL_DIR:-$$HOME/.local/share/uv/python}"/cpython-3.*/bin/python3 2>/dev/null); do \
  if [ -n "$$python" ] && "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; \
  then found="$$python"; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo 'Onramp needs Python 3.12 or newer with its venv module, and none was found on PATH, in pyenv or in uv.' >&2; \
  echo 'Install one (for example: pyenv install 3.12), or name it: make run PYTHON=/path/to/python3.12' >&2; exit 1; \
fi
endef

.venv/.run: requirements.lock
	@$(FIND_PYTHON); "$$found" config/embedded/install.py $< $@

.venv/.dev: requirements-dev.lock
	@$(FIND_PYTHON); "$$found" config/embedded/install.py $< $@

# No shell stands between make and the supervisor, which stops when make is gone.
run: .venv/.run
	@$(EMBEDDED) run

test: .venv/.dev
	@$(EMBEDDED) exec -- $(PY) -m pytest $(ARGS)

bench: .venv/.dev
	@$(EMBEDDED) exec -- $(PY) -m tests.bench

# Servers, folder and port of its own, whatever the environment names; it stops when make is gone.
chaos: .venv/.dev
	@$(PY) -m tests.chaos $(ARGS)

# What a deployment would set, with nothing real in it.
PRODUCTION := env -u DEMO -u BASE_URL DEBUG=0 ALLOWED_HOSTS=onramp.example \
  EMAIL_URL=smtp://mail.onramp.example:587 SECRET_KEY=for-this-check-alone-0123456789-abcdefghijklmnopqrstuvwxyz

check: .venv/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	@if [ -d templates ]; then set -x; $(PY) -m djlint templates --lint --quiet; fi
	$(PRODUCTION) $(PY) -m mypy
	.venv/bin/lint-imports
	@$(EMBEDDED) exec -- $(MAKE) --no-print-directory check-django

check-django:
	$(PY) -W error::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	@if [ -f apps/web/management/commands/docs.py ]; then set -x; $(PY) manage.py docs --check; fi

docs: .venv/.dev
	@$(EMBEDDED) exec -- $(PY) manage.py docs

# Apart from check, because it asks an advisory service. Without --strict, pip-audit reports no weaknesses when it
# could ask about nothing.
audit: .venv/.dev
	$(PY) -m pip_audit --strict --require-hashes --disable-pip -r requirements-dev.lock
	$(PY) -m bandit --quiet --recursive --configfile pyproject.toml --severity-level medium apps config manage.py
	git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook --exclude-files '^tests/|\.lock$$' \
	  --exclude-secrets '^demo-onboarding$$'

# One resolution for every Python we support; names, versions and hashes only.
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
  --no-header --no-annotate --extra embedded pyproject.toml
lock: .venv/.dev
	$(PY) -m $(UV_COMPILE) --upgrade -o requirements.lock
	$(PY) -m $(UV_COMPILE) --upgrade --group dev -c requirements.lock -o requirements-dev.lock
