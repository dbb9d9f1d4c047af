"""heists knows nothing of its host, nor in strings, where the import linter does not look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import ROOT

SOURCES = sorted(
    path for path in (ROOT / "heists").rglob("*") if path.suffix in {".py", ".html", ".txt", ".css", ".js", ".po"}
)
# `config` as a module or a dotted path; the word itself may stand in a sentence.
HOST = re.compile(r"gamification|PlayerProfile|player_profile|\bconfig\.|(?:from|import) config\b|[\"']config[\"']")


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 30
    assert HOST.search('import_module("gamification.models")')
    assert HOST.search("from config import settings")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heists_does_not_name_its_host(path: Path) -> None:
    assert HOST.findall(path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".py" and "migrations" not in path.parts])
def test_heists_asks_for_the_user_model_instead_of_naming_it(path: Path) -> None:
    text = path.read_text()

    assert "auth.models" not in text
    assert '"auth.User"' not in text


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".py" and path.name != "0001_initial.py"])
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
