"""docs/specification.md marks as planned exactly what this code does not have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import resolve

from config.errors import unknown_path

PAGE = (Path(__file__).parents[2] / "docs" / "specification.md").read_text(encoding="utf-8")
SECTIONS = {
    title: text for title, _, text in (part.partition("\n") for part in re.split(r"^## ", PAGE, flags=re.M)[1:])
}
MARK = re.compile(r"planned", re.I)
COMMANDS = [
    (line.split("`")[1].split()[0], line) for line in SECTIONS["Commands"].splitlines() if line.startswith("| `")
]
PATHS = [
    (path, line)
    for line in SECTIONS["HTTP API"].splitlines()
    for path in re.findall(r"`(?:GET|POST|PUT|PATCH) (/\S+?)`", line.partition(" | ")[0])
]


def is_planned(line: str) -> bool:
    return "*(planned)*" in line


def exists(path: str) -> bool:
    match = resolve(re.sub(r"{[^}]*}", "1", path))
    # The path of one heist matches any other word, too.
    return match.func != unknown_path and (match.url_name != "heist" or "{" in path)


def test_the_tables_are_read() -> None:
    assert len(COMMANDS) > 8
    assert len(PATHS) > 15


def test_the_state_of_this_version_names_the_sections_with_planned_parts() -> None:
    state = SECTIONS["State of this version"]
    marked = {title for title, text in SECTIONS.items() if title != "State of this version" and MARK.search(text)}

    assert {title for title in SECTIONS if f"[{title}](#" in state} == marked


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[name for name, _line in COMMANDS])
def test_a_command_is_planned_or_exists(name: str, line: str) -> None:
    assert is_planned(line) != (name in get_commands())


@pytest.mark.parametrize(("path", "line"), PATHS, ids=[path for path, _line in PATHS])
def test_a_path_of_the_api_is_planned_or_exists(path: str, line: str) -> None:
    assert is_planned(line) != exists(path)
