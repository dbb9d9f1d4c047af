# Every target does its own set-up: a fresh machine needs git, make and Python 3.11 or newer.

HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
	done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# Tests that start sites, servers or browsers of their own, or build a world.
SLOW := benchmarks browser chaos cluster config gamification/demo heists/test_state_machine.py hosts hostile mutants packaging \
	test_readme.py
# Tests that use no database of ours, or drive a browser: `make test` runs them once, on SQLite.
ONCE := architecture browser docs mutants packaging
FUZZING := tests/heists/api/test_fuzzing.py
# One process for each core, each with a test database of its own. More than four exhaust the server's connections.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadgroup
export HOST PORT
export PIP_ROOT_USER_ACTION := ignore
export DJANGO_SETTINGS_MODULE := config.settings

# pip and others write to the home folder; use one below var/ where it can't be written to.
ifeq ($(shell test -w "$$HOME" && echo yes),)
export HOME := $(CURDIR)/var/home
endif

.DEFAULT_GOAL := help
.PHONY: help run serve quick test test-sqlite test-postgres lint format docs bench chaos cluster mutants matrix hosts wheel messages clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  HOST and PORT are the address to listen on (127.0.0.1, 8000); DATABASE_URL names another database;"
	@echo "  CACHE_URL names a Redis that counts requests; .env.example lists everything else."

.venv/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed" \
		"(Debian: apt-get install python3 python3-venv)." >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)..."
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/site: .venv/python requirements.txt
	@echo "Installing what the site needs..."
	@$(PIP) -r requirements.txt
	@touch $@

.venv/dev: .venv/python requirements.txt requirements-dev.txt
	@echo "Installing what tests and linters need..."
	@$(PIP) -r requirements-dev.txt
	@touch $@ .venv/site

run: export DEBUG := true
run: export DJANGO_RUNSERVER_HIDE_WARNING := true
run: .venv/site ## start the example site; the first time, fill it with demo data
	@if [ -z "$$ALLOWED_HOSTS" ] && [ "$(HOST)" != 127.0.0.1 ]; then export ALLOWED_HOSTS='*'; fi; \
	$(BIN)/python -m config.demo && \
	exec $(BIN)/python manage.py runserver "$(HOST):$(PORT)"

serve: .venv/site ## start the site as in production: gunicorn, several workers; plain HTTP unless INSECURE_HTTP=false
	@mkdir -p var
	@named() { [ -n "$$(printenv $$1)" ] || grep -Eqs "^(export )?$$1=." "$${ENV_FILE:-.env}"; }; \
	named INSECURE_HTTP || export INSECURE_HTTP=true; \
	if ! named SECRET_KEY; then \
		test -s var/secret_key || (umask 077; $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))' > var/secret_key); \
		SECRET_KEY=$$(cat var/secret_key); export SECRET_KEY; \
	fi; \
	export DEBUG=false; \
	$(BIN)/python manage.py check --database default && \
	$(BIN)/python manage.py migrate --verbosity 0 && \
	$(BIN)/python manage.py collectstatic --no-input --verbosity 0 && \
	exec $(BIN)/python -m gunicorn --config config/gunicorn.conf.py config.wsgi

quick: .venv/dev ## run the fast tests, on SQLite; under two minutes on two cores
	$(PYTEST) --database=sqlite -q --ignore=$(FUZZING) $(addprefix --ignore=tests/,$(SLOW))

test: test-sqlite test-postgres ## run every test, on SQLite and on PostgreSQL

test-sqlite: .venv/dev ## run the tests on SQLite, and those that write once more behind a lagging replica
	$(PYTEST) --database=sqlite --ignore=$(FUZZING)
	$(PYTEST) --database=sqlite -q --stale-replica --ignore=$(FUZZING) \
		$(addprefix tests/heists/,services emails api admin management) tests/gamification

test-postgres: .venv/dev ## run the tests on PostgreSQL: DATABASE_URL where it names one, else an embedded server; then some under psycopg 2
	$(PYTEST) --database=postgres $(addprefix --ignore=tests/,$(ONCE))
	DRIVER=psycopg2 $(PYTEST) --database=postgres -q tests/heists/db tests/races/test_simultaneous.py

lint: export DEBUG := true
lint: .venv/dev ## check style, types, architecture, migrations and settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy heists gamification config benchmarks tests docs
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING

format: .venv/dev ## format the code as lint requires
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev ## write docs/settings.md, docs/openapi.yaml and the answers in both and in docs/api.md again, from the code
	UPDATE_DOCS=1 $(BIN)/python -m pytest --database=sqlite -q tests/heists/api/test_schema_examples.py -k real_answer
	$(BIN)/python -m docs.generate
	UPDATE_DOCS=1 $(BIN)/python -m pytest --database=sqlite -q tests/docs/test_api_examples.py

bench: .venv/dev ## measure the budgets of docs/specification.md; AGAINST=/another/checkout compares both in turn
	$(BIN)/python -m benchmarks $(if $(AGAINST),--against $(AGAINST))

chaos: .venv/dev ## kill workers, connections and the database for a minute under load, then audit (SECONDS=60)
	$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60)

cluster: .venv/dev ## two web hosts, PgBouncer, a replica and its promotion under load, on this machine (SECONDS=60); needs pgbouncer
	$(BIN)/python -m tests.cluster --seconds $(or $(SECONDS),60)

mutants: .venv/dev ## change the core one line at a time and count the changes that tests notice (MUTANTS=600 SEED=1 MODULES=… ONLY=…)
	$(BIN)/python -m tests.mutants --count $(or $(MUTANTS),600) --seed $(or $(SEED),1) $(if $(MODULES),--modules $(MODULES)) $(if $(ONLY),--only $(ONLY))

matrix: .venv/dev ## run every test on every supported pair of Python and Django that is installed
	$(BIN)/nox --session tests

hosts: .venv/dev ## run the tests on other sites with the newest supported Python and Django; skipped where that Python is missing
	$(BIN)/nox --session hosts

wheel: .venv/dev ## build the app as a wheel, into dist/, and check it
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m check_wheel_contents dist/heists-*.whl

messages: .venv/dev ## bring the translations up to date with the texts, and compile them; needs gettext
	for app in heists gamification config; do \
		(cd $$app && env -u DJANGO_SETTINGS_MODULE ../$(BIN)/django-admin makemessages --locale de --locale es --add-location file --no-obsolete --no-wrap \
		&& env -u DJANGO_SETTINGS_MODULE ../$(BIN)/django-admin compilemessages) || exit 1; \
	done

clean: ## remove everything that was made here, the embedded database included
	rm -rf .venv .nox var dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
