"""`make serve`: what it sets where the operator did not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

# Stands for the interpreter: prints what each command would read.
PYTHON = """#!/bin/sh
echo "[$INSECURE_HTTP] [$SECRET_KEY] [$DEBUG]"
"""
OWN_KEY = "a-key-of-the-operator"


def serve(folder: Path, **environment: str) -> list[str]:
    """Run the recipe of `make serve` in this folder; return the settings of its last command."""
    shutil.copy(ROOT / "Makefile", folder)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    (folder / "var").mkdir()
    (folder / "var" / "secret_key").write_text("a-key-of-its-own")
    done = subprocess.run(
        ["make", "--silent", "--old-file", ".venv/site", "serve", "BIN=bin"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return [value.strip("[]") for value in done.stdout.splitlines()[-1].split()]


def test_a_key_of_its_own_and_plain_http_by_default(tmp_path: Path) -> None:
    assert serve(tmp_path) == ["true", "a-key-of-its-own", "false"]


def test_the_environment_decides(tmp_path: Path) -> None:
    assert serve(tmp_path, SECRET_KEY=OWN_KEY, INSECURE_HTTP="false") == ["false", OWN_KEY, "false"]


@pytest.mark.parametrize("export", ["", "export "])
def test_nothing_is_set_that_the_file_names(tmp_path: Path, export: str) -> None:
    """The site reads the file; a variable of the environment would count before it."""
    (tmp_path / ".env").write_text(f"{export}SECRET_KEY={OWN_KEY}\n{export}INSECURE_HTTP=false\n")
    assert serve(tmp_path) == ["", "", "false"]


def test_another_file_than_env(tmp_path: Path) -> None:
    (tmp_path / "production.env").write_text(f"SECRET_KEY={OWN_KEY}\n")
    assert serve(tmp_path, ENV_FILE="production.env") == ["true", "", "false"]
