"""docs/commands.md has every command with each of its options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
COMMANDS = {name: str(app) for name, app in get_commands().items() if app in ("heists", "gamification")}


def options_of(app: str, name: str) -> set[str]:
    """The command's own arguments and options, without Django's."""
    found = load_command_class(app, name).create_parser("manage.py", name)._actions
    common = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}
    return {
        option
        for action in found
        if action.dest not in common
        for option in (action.option_strings[:1] or [action.dest])
    }


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_the_page_has_the_commands_of_this_code() -> None:
    assert sections().keys() == COMMANDS.keys()
    assert {"send_heist_emails", "audit_heists"} <= COMMANDS.keys()


@pytest.mark.parametrize(("name", "app"), COMMANDS.items())
def test_a_section_has_the_options_of_its_command(name: str, app: str) -> None:
    described = set(re.findall(r"^\| `([\w-]+)` \|", sections()[name], re.M))

    assert described == options_of(app, name)
