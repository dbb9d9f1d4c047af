"""Sentences with a host's own translations: a fault in a catalogue must not make a heist fail."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polib
import pytest
from django.utils import translation
from django.utils.translation import trans_real

from heists.choices import FailureCode, GrantReason, HeistNotificationType, HeistStatus
from heists.messages import (
    BLOCKED,
    FAILURE_WITH_RETRY,
    FAILURES,
    NOTIFICATIONS,
    failure_message,
    fill,
    notification_message,
    success_message,
)

VALUES = {"attacker_name": "alice", "victim_name": "bob", "referred_name": "carol", "points": 5, "amount": 2}
MESSAGE = "%(victim_name)s lost %(points)s points"


@pytest.mark.parametrize(
    "translated",
    [
        "100 % sure: %(victim_name)s",
        "100% richtig",
        "%(victim_name)s lost 5%",
        "%(points)s %",
        "%s lost points",
        "%(victim)s lost %(points)s",
        "%(victim_name)d lost %(points)s",
        "%(victim_name lost",
        "%(victim_name)",
        "%d %(points)s",
        "%*d",
    ],
)
def test_a_translation_that_can_not_be_filled_in_is_not_used(translated: str) -> None:
    assert fill(MESSAGE, VALUES, lambda message: translated) == "bob lost 5 points"


@pytest.mark.parametrize(
    ("translated", "expected"),
    [
        ("%(points)s Punkte von %(victim_name)s", "5 Punkte von bob"),
        ("bob lost", "bob lost"),
        ("100 %% of %(victim_name)s", "100 % of bob"),
        ("%(points)05d points", "00005 points"),
        ("%(points).1s", "5"),
    ],
)
def test_every_other_translation_is_used(translated: str, expected: str) -> None:
    assert fill(MESSAGE, VALUES, lambda message: translated) == expected


def test_a_value_that_is_missing_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError):
        fill(MESSAGE, {"points": 5}, lambda message: MESSAGE)


@pytest.fixture
def faulty_catalogue(settings: Any, tmp_path: Path) -> Any:
    """A host's catalogue in German in which every sentence of heists ends in a stray per cent sign."""
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = polib.POFile()
    catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    for message in {*FAILURES.values(), *NOTIFICATIONS.values(), FAILURE_WITH_RETRY, BLOCKED, "Player %(id)s"}:
        catalogue.append(polib.POEntry(msgid=message, msgstr=f"{message} zu 100 %"))
    catalogue.save_as_mofile(str(folder / "django.mo"))
    settings.LOCALE_PATHS = [tmp_path]
    # Django's catalogues in memory, a private name.
    loaded: dict[str, Any] = vars(trans_real)["_translations"]
    loaded.clear()
    with translation.override("de"):
        yield
    loaded.clear()


@pytest.mark.usefixtures("faulty_catalogue")
def test_no_sentence_fails_with_a_faulty_catalogue() -> None:
    moment = dt.datetime(2026, 3, 4, 17, 30, tzinfo=dt.UTC)
    said = [failure_message(code, moment) for code in FailureCode]
    said += [notification_message(type, {**VALUES, "reason": "REFERRAL"}) or "" for type in HeistNotificationType]
    said += [
        notification_message("TOKEN_EARNED", {**VALUES, "reason": reason}) or "" for reason in GrantReason.of_callers()
    ]
    said += [success_message(status, victim_name="bob", points=5) for status in HeistStatus]

    assert all(said)
    assert not any("%(" in sentence or "{" in sentence for sentence in said)
    assert notification_message("HEIST_VICTIM", VALUES) == (
        "Oh no! alice just pulled a heist on you and stole 5 of your monthly points!"
    )
