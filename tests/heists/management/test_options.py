"""Options out of range, or without effect, are errors that say what to type, in English on every site."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from heists.management import options as options_module

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("command", "options", "sentence"),
    [
        ("audit_heists", {"database": "nope"}, "no database 'nope'"),
        ("audit_heists", {"limit": -1}, "--limit must be at least 0"),
        ("expire_shields", {"batch": 0}, "--batch must be at least 1"),
        ("expire_shields", {"batch": -5}, "--batch must be at least 1"),
        ("prune_heists", {"batch": 0}, "--batch must be at least 1"),
        ("send_heist_emails", {"batch": 0}, "--batch must be at least 1"),
        ("send_heist_emails", {"pause": 3.0}, "--pause is only for --loop"),
        ("send_heist_emails", {"pause": -1.0, "loop": True}, "--pause must be at least 0"),
        ("send_heist_emails", {"pause": float("nan"), "loop": True}, "--pause must be at least 0"),
        ("grant_tokens", {"csv": "gifts.csv", "source": ""}, "columns of the file"),
        ("seed_demo", {"players": 0}, "at least 20 players"),
        ("close_month", {"database": "nope"}, "no database 'nope'"),
        ("close_month", {"batch": 0}, "--batch must be at least 1"),
        ("reward_referrals", {"batch": 0}, "--batch must be at least 1"),
    ],
)
def test_a_wrong_option_is_a_sentence(command: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command(command, **options)


@pytest.mark.parametrize("option", [["--batch", "0"], ["--pause", "1"]])
def test_the_command_line_is_checked_as_well(option: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("send_heist_emails", *option)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("expire_shields", "0 shields expired."),
        ("prune_heists", "0 notifications and 0 addresses pruned."),
        ("send_heist_emails", "0 emails sent, 0 not wanted, 0 to be retried, 0 given up."),
        ("close_month", "0 profiles closed, 0 standings written."),
    ],
)
def test_commands_print_in_english_whatever_the_language_of_the_site(command: str, sentence: str) -> None:
    said = StringIO()
    with translation.override("de"):
        call_command(command, stdout=said)

    assert said.getvalue() == f"{sentence}\n"


class WriteElsewhere:
    """Reads heists here, and writes them to another database."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "scores"


def test_without_a_database_it_is_the_one_that_heists_are_written_to(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASE_ROUTERS = [WriteElsewhere()]
    monkeypatch.setattr(options_module, "connections", ["default", "scores"])

    assert options_module.database_of(None) == "scores"
    assert options_module.database_of("default") == "default"
    with pytest.raises(CommandError, match=r"There is no database 'nope' in DATABASES; there are: default, scores\."):
        options_module.database_of("nope")


@pytest.mark.parametrize("command", ["audit_heists", "simulate_rules"])
def test_the_database_that_is_named_is_read(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    named: list[Any] = []

    def database_of(name: str | None) -> str:
        named.append(name)
        raise CommandError("enough")

    monkeypatch.setattr(f"heists.management.commands.{command}.database_of", database_of)
    for database in ("default", None):
        with pytest.raises(CommandError, match="enough"):
            call_command(command, *(["COOLDOWN_HOURS=0"] if command == "simulate_rules" else []), database=database)

    assert named == ["default", None]
