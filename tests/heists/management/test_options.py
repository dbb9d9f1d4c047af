"""Options out of range, or without effect, are errors that say what to type, in English on every site."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

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
