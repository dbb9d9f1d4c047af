"""Sites with other user models, economies and settings, each run as a project of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .project import HERE, Project

HOSTS = ["uuid_email", "text_ledger", "old_site"]
WITH_HEISTS = {"WITH_HEISTS": "yes"}


@pytest.mark.parametrize("host", HOSTS)
def test_an_economy_is_no_longer_than_fifty_lines(host: str) -> None:
    (economy,) = (HERE / host).glob("*/economy.py")

    assert len(economy.read_text().splitlines()) <= 50


@pytest.mark.parametrize("host", HOSTS)
def test_the_checks_are_silent_and_the_models_need_no_migration(host: str, tmp_path: Path, host_database: str) -> None:
    project = Project(host, tmp_path, host_database)

    said = project.manage("check", "--fail-level", "WARNING", **WITH_HEISTS)
    project.manage("makemigrations", "heists", "--check", "--dry-run", **WITH_HEISTS)

    assert "no issues" in said


@pytest.mark.parametrize("host", HOSTS)
def test_the_story_runs_on_a_fresh_database(host: str, tmp_path: Path, host_database: str) -> None:
    project = Project(host, tmp_path, host_database)
    project.manage("migrate", "--verbosity", "0", **WITH_HEISTS)
    project.manage("check", "--database", "default", "--fail-level", "WARNING", **WITH_HEISTS)

    assert "The story passed." in project.run("story.py", **WITH_HEISTS)


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
    project.manage("migrate", "--verbosity", "0", **WITH_HEISTS)
    project.run("story.py", **WITH_HEISTS)
    played = json.loads(project.run("dump.py"))["rows"]

    project.manage("migrate", "heists", "zero", "--verbosity", "0", **WITH_HEISTS)
    removed = json.loads(project.run("dump.py"))["rows"]
    project.manage("migrate", "--verbosity", "0", **WITH_HEISTS)

    # The point events refer to the two types, so these stay.
    assert removed == played
    assert json.loads(project.run("dump.py"))["rows"] == played
    project.manage("check", "--database", "default", "--fail-level", "WARNING", **WITH_HEISTS)
