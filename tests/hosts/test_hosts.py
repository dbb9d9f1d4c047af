"""Sites with other user models, economies and settings, each run as a project of its own."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.browser.conftest import CHROMIUMS

from .project import HERE, Project

HOSTS = ["uuid_email", "text_ledger", "old_site", "bare_user", "email_key", "strict_site"]
WITH_HEISTS: Any = {"WITH_HEISTS": "yes"}


@pytest.mark.parametrize("host", HOSTS)
def test_an_economy_is_no_longer_than_fifty_lines(host: str) -> None:
    (economy,) = (HERE / host).glob("*/economy.py")

    assert len(economy.read_text().splitlines()) <= 50


def test_the_recipes_of_the_guide_are_those_of_these_hosts() -> None:
    guide = (ROOT / "docs" / "integrating.md").read_text(encoding="utf-8")
    recipes = guide.partition("## Where points are stored")[2].partition("## The conformance suite")[0]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in HERE.glob("*/*/*.py"))

    # Each class of a recipe shows a part of the host's class, so methods and functions are compared.
    blocks = re.findall(r"^```python\n(.*?)^```", recipes, re.M | re.S)
    parts = [part.strip("\n") for block in blocks for part in re.split(r"\n\n+", block) if "def " in part]

    assert len(parts) > 5
    assert [part for part in parts if part.partition("):\n")[2] not in sources] == []


@pytest.mark.parametrize("host", HOSTS)
def test_checks_are_silent_and_the_story_runs_on_a_fresh_database(
    host: str, tmp_path: Path, host_database: str
) -> None:
    project = Project(host, tmp_path, host_database)

    assert "The story passed." in project.run("story.py", **WITH_HEISTS)


@pytest.mark.postgresql
@pytest.mark.parametrize("host", ["uuid_email", "text_ledger"])
def test_the_story_runs_under_psycopg_2(host: str, tmp_path: Path, host_database: str) -> None:
    pytest.importorskip("psycopg2", reason="the story under the older driver needs psycopg2")
    project = Project(host, tmp_path, host_database)
    driver = "from django.db import connection; print(connection.Database.__name__)"

    assert "psycopg2" in project.manage("shell", "--command", driver, DRIVER="psycopg2")
    assert "The story passed." in project.run("story.py", DRIVER="psycopg2")
    assert "OK" in project.manage("test", "test_economy", DRIVER="psycopg2")


@pytest.mark.parametrize("skin", ["grappelli", "unfold"])
def test_the_admin_works_under_another_skin(skin: str, tmp_path: Path, host_database: str) -> None:
    pytest.importorskip(skin, reason=f"the admin's pages under a skin need django-{skin}")
    chromium = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    environ = {"SKIN": skin} | ({"CHROMIUM": chromium} if chromium else {})

    said = Project("old_site", tmp_path, host_database).manage("test", "test_skin", **WITH_HEISTS, **environ)

    assert "OK" in said
    assert "Ran 2 tests" in said


@pytest.mark.parametrize("host", HOSTS)
def test_the_economy_passes_the_conformance_suite(host: str, tmp_path: Path, host_database: str) -> None:
    project = Project(host, tmp_path, host_database)

    said = project.manage("test", "test_economy", **WITH_HEISTS)

    assert "OK" in said
    assert "Ran 0 tests" not in said


def test_installing_and_removing_leaves_an_old_site_unchanged(tmp_path: Path, host_database: str) -> None:
    project = Project("old_site", tmp_path, host_database)
    project.manage("migrate", "--verbosity", "0")
    project.run("populate.py")
    before = json.loads(project.run("dump.py"))

    project.manage("migrate", "--verbosity", "0", **WITH_HEISTS)
    added = json.loads(project.run("dump.py"))

    assert added["schema"] == before["schema"]
    new = [row for row in added["rows"]["club_eventtype"] if row not in before["rows"]["club_eventtype"]]
    assert [row[1] for row in new] == ["HEIST_GAIN", "HEIST_LOSS"]
    added["rows"]["club_eventtype"] = [row for row in added["rows"]["club_eventtype"] if row not in new]
    assert added["rows"] == before["rows"]
    assert len(before["rows"]["auth_user"]) == 300

    project.manage("migrate", "heists", "zero", "--verbosity", "0", **WITH_HEISTS)

    assert json.loads(project.run("dump.py")) == before
    assert "heists" not in project.run("dump.py")


def test_an_old_site_removes_heists_and_installs_it_again(tmp_path: Path, host_database: str) -> None:
    project = Project("old_site", tmp_path, host_database)
    project.manage("migrate", "--verbosity", "0")
    project.run("populate.py")
    project.run("story.py", **WITH_HEISTS)
    played = json.loads(project.run("dump.py"))["rows"]

    project.manage("migrate", "heists", "zero", "--verbosity", "0", **WITH_HEISTS)
    removed = json.loads(project.run("dump.py"))["rows"]
    project.manage("migrate", "--verbosity", "0", **WITH_HEISTS)

    # The point events refer to the two types, so these stay.
    assert removed == played
    assert json.loads(project.run("dump.py"))["rows"] == played
    project.manage("check", "--database", "default", "--fail-level", "WARNING", **WITH_HEISTS)
