"""Every supported pair of Python and Django, on both databases: `make matrix`. The newest of them: `make hosts`."""

import os
import shutil
import subprocess
from pathlib import Path

import nox

PAIRS = [("3.11", "5.2"), ("3.12", "5.2"), ("3.12", "6.0"), ("3.12", "6.1"), ("3.13", "6.1")]

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


def interpreter(version: str) -> str:
    """Return where this Python is, or its version, so that nox skips it and says so."""
    candidates = [shutil.which(f"python{version}")]
    # pyenv has shims for versions that are not active, too; so look into its own folders.
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:  # noqa: S603
            return candidate
    return version


@nox.session
@nox.parametrize(
    "python,django",
    [(interpreter(python), django) for python, django in PAIRS],
    ids=[f"python{python}-django{django}" for python, django in PAIRS],
)
def tests(session: nox.Session, django: str) -> None:
    """Check that this Django makes no further migration, then run the whole suite on both databases."""
    session.install("-r", "requirements-dev.txt", f"Django~={django}.0")
    session.run("python", "manage.py", "makemigrations", "--check", "--dry-run", env={"DEBUG": "true"})
    for database in ("sqlite", "postgres"):
        parallel = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadgroup"]
        session.run("python", "-m", "pytest", *parallel, f"--database={database}", *session.posargs)


@nox.session
@nox.parametrize("python", [interpreter(PAIRS[-1][0])], ids=["newest"])
def hosts(session: nox.Session) -> None:
    """Run the tests on other sites, on PostgreSQL, with the newest Python and Django."""
    session.install("-r", "requirements-dev.txt", f"Django~={PAIRS[-1][1]}.0")
    parallel = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadgroup"]
    session.run("python", "-m", "pytest", *parallel, "--database=postgres", "tests/hosts", *session.posargs)
