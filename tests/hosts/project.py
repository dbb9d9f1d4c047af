"""A real project of an example host: its own folder, settings, database and process."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

HERE = Path(__file__).parent
APP = HERE.parent.parent / "heists"


class Project:
    """A copy of one host, with nothing but `heists` beside it on the path: the example site can't be imported."""

    def __init__(self, host: str, folder: Path, database: str) -> None:
        self.folder = folder / host
        shutil.copytree(HERE / host, self.folder)
        shutil.copytree(HERE / "common", self.folder, dirs_exist_ok=True)
        path = folder / "path"
        path.mkdir()
        (path / "heists").symlink_to(APP)
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
        self.environ = kept | {
            "PYTHONPATH": str(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "settings",
            "HOST_DATABASE_URL": database,
        }

    def run(self, *command: str, expect: int = 0, **environ: str) -> str:
        """Run Python in the project's folder and return what it said. Fails on another exit code than expected."""
        done = subprocess.run(
            [sys.executable, "-W", "error::DeprecationWarning:heists", *command],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == expect, f"{' '.join(command)} ended with {done.returncode}:\n{said}"
        return said

    def manage(self, *command: str, **environ: str) -> str:
        return self.run("manage.py", *command, expect=0, **environ)


@pytest.fixture
def host_database(tmp_path: Path, pytestconfig: pytest.Config) -> Any:
    """The address of an empty database on the engine that this run tests."""
    if pytestconfig.getoption("--database") == "sqlite":
        yield f"sqlite://{tmp_path}/host.sqlite3"
        return
    server = os.environ["DATABASE_URL"]
    name = f"host_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
