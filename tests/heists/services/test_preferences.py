"""The row of an email preference: what a call changes, and what it leaves as it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heists.choices import HeistNotificationType
from heists.errors import UnknownPlayer
from heists.models import EmailPreference
from heists.services import set_email_preference
from tests.factories import player

from .elsewhere import only

pytestmark = pytest.mark.django_db

VICTIM, SUCCESS, EARNED = (
    HeistNotificationType.HEIST_VICTIM,
    HeistNotificationType.HEIST_SUCCESS,
    HeistNotificationType.TOKEN_EARNED,
)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def stored(user: Any) -> tuple[bool, set[str]]:
    row = EmailPreference.objects.get(player=user)
    return row.muted, set(row.muted_types)


def test_each_call_changes_what_it_names_alone() -> None:
    alice, bob = player(), player()
    set_email_preference(player_id=bob.pk)

    for change, expected in (
        ({}, (False, set())),
        ({"mute": [VICTIM, EARNED]}, (False, {"HEIST_VICTIM", "TOKEN_EARNED"})),
        ({"muted": True}, (True, {"HEIST_VICTIM", "TOKEN_EARNED"})),
        ({"mute": [SUCCESS], "unmute": [VICTIM]}, (True, {"HEIST_SUCCESS", "TOKEN_EARNED"})),
        ({"muted": False, "unmute": [SUCCESS, VICTIM]}, (False, {"TOKEN_EARNED"})),
    ):
        returned = set_email_preference(player_id=str(alice.pk), **change)
        assert (returned.player_id, returned.muted, set(returned.muted_types)) == (alice.pk, *expected)
        assert stored(alice) == expected
    assert stored(bob) == (False, set())


def test_types_are_stored_in_one_order_and_unknown_ones_are_dropped() -> None:
    alice = player()
    set_email_preference(player_id=alice.pk)
    EmailPreference.objects.update(muted_types=["GONE"], updated_at=LONG_AGO)

    row = set_email_preference(player_id=alice.pk, mute=list(HeistNotificationType)[::-1])

    assert row.muted_types == list(HeistNotificationType.values)
    assert EmailPreference.objects.get().updated_at > LONG_AGO


@pytest.mark.parametrize("key", [987_654, "nobody", None])
def test_an_unknown_player_has_no_preference(key: Any) -> None:
    with pytest.raises(UnknownPlayer):
        set_email_preference(player_id=key, muted=True)

    assert not EmailPreference.objects.exists()


def test_every_statement_goes_to_the_database_of_the_preferences(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = player()
    only(EmailPreference, settings, monkeypatch)

    assert set_email_preference(player_id=alice.pk, muted=True).muted


@pytest.mark.postgresql
def test_the_preference_is_locked_and_the_player_is_not() -> None:
    alice = player()

    with CaptureQueriesContext(connection) as statements:
        set_email_preference(player_id=alice.pk, muted=True)

    [lock] = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert lock.endswith('FOR UPDATE OF "heists_emailpreference"')
