"""The wheel: what is in it, and a heist on a fresh site that has nothing else of this repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import heists
from tests import ROOT


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    done = subprocess.run(command, cwd=cwd, env=kept | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_heists_and_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {"heists", f"heists-{heists.__version__}.dist-info"}


def test_it_holds_every_file_of_the_app(names: set[str]) -> None:
    tracked = run("git", "ls-files", "heists", cwd=ROOT).split()

    assert {name for name in tracked if not name.endswith(".po")} <= names
    assert "heists/py.typed" in names


def test_it_holds_a_compiled_catalogue_for_each_translation(names: set[str]) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "heists" / "locale").rglob("*.po")}

    assert len(sources) >= 2
    assert {name.removesuffix(".po") + ".mo" for name in sources} <= names


def test_it_has_one_version_and_the_changelog_has_it(wheel: Path) -> None:
    assert wheel.name == f"heists-{heists.__version__}-py3-none-any.whl"
    assert f"## {heists.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_check_wheel_contents_finds_nothing(wheel: Path) -> None:
    assert "OK" in run(sys.executable, "-m", "check_wheel_contents", str(wheel), cwd=ROOT)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel in it.

    What the wheel needs comes from the tests' own environment, so that no registry is asked.
    """
    environment = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=environment)
    (site_packages,) = (environment / "lib").glob("python*/site-packages")
    (site_packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    assert str(site_packages) in run(python, "-c", "import heists; print(heists.__file__)", cwd=environment)
    return python


@pytest.mark.parametrize("admin", [True, False], ids=["with the admin", "without the admin"])
def test_a_fresh_site_runs_the_guide_with_the_wheel_alone(python: Path, tmp_path: Path, admin: bool) -> None:
    run(python, "-m", "django", "startproject", "fresh", str(tmp_path), cwd=tmp_path)
    run(python, "manage.py", "startapp", "players", cwd=tmp_path)
    if not admin:
        remove_line(tmp_path / "fresh" / "settings.py", "django.contrib.admin")
        remove_line(tmp_path / "fresh" / "urls.py", "admin.site.urls")
        remove_line(tmp_path / "fresh" / "urls.py", "from django.contrib import admin")
        (tmp_path / "players" / "admin.py").unlink()

    # As the guide says.
    guide = guide_blocks()
    (tmp_path / "players" / "models.py").write_text(guide["players/models.py"])
    (tmp_path / "players" / "economy.py").write_text(guide["players/economy.py"])
    with (tmp_path / "fresh" / "settings.py").open("a") as settings:
        settings.write(guide["settings.py"])
    with (tmp_path / "fresh" / "urls.py").open("a") as urls:
        urls.write(guide["urls.py"])
    run(python, "manage.py", "makemigrations", "players", cwd=tmp_path)
    run(python, "manage.py", "migrate", "--verbosity", "0", cwd=tmp_path)
    run(python, "manage.py", "check", "--fail-level", "WARNING", cwd=tmp_path)
    (tmp_path / "tests.py").write_text(guide["tests.py"])
    run(python, "manage.py", "test", cwd=tmp_path)
    played = run(python, "manage.py", "shell", "-c", guide["shell"], cwd=tmp_path)

    assert "SUCCESS 50" in played
    assert "Success! You pulled a heist" in played


def remove_line(file: Path, part: str) -> None:
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if part not in line]
    assert len(kept) == len(lines) - 1
    file.write_text("".join(kept))


def guide_blocks() -> dict[str, str]:
    """Return the guide's code, by the name that stands above each block; so the guide itself is what is tried."""
    guide = (ROOT / "docs" / "integrating.md").read_text()
    return dict(re.findall(r"^`([\w./]+)`:\n\n```python\n(.*?)^```", guide, re.M | re.S))
