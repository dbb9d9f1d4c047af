"""What the querysets and properties of the models find at the very moment that decides."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from heists.choices import ShieldState
from heists.models import EmailPreference, HeistNotification, Shield
from tests.factories import player

MICRO = dt.timedelta(microseconds=1)


@pytest.mark.django_db
@pytest.mark.parametrize(("left", "live"), [(MICRO, True), (0 * MICRO, False), (-MICRO, False)])
def test_a_shield_is_live_before_the_moment_it_expires_at(
    monkeypatch: pytest.MonkeyPatch, left: dt.timedelta, live: bool
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    shield = Shield.objects.create(
        player=player(), cost=50, bought_at=now - dt.timedelta(days=7), expires_at=now + left
    )

    assert Shield.objects.live(now).exists() == live
    assert Shield.objects.due(now).exists() == (not live)
    assert shield.state == (ShieldState.LIVE if live else ShieldState.EXPIRED)


@pytest.mark.django_db
@pytest.mark.parametrize("ended", ["used_at", "expired_at"])
def test_a_shield_that_is_used_or_marked_is_neither_live_nor_due(ended: str) -> None:
    now = timezone.now()
    for left in (-MICRO, MICRO):
        times = {"bought_at": now - dt.timedelta(days=7), "expires_at": now + left, ended: now - dt.timedelta(days=1)}
        Shield.objects.create(player=player(), cost=50, **times)

    assert not Shield.objects.open() and not Shield.objects.live(now) and not Shield.objects.due(now)


@pytest.mark.parametrize(
    ("preference", "wanted"),
    [
        (EmailPreference(), {"A": True, "B": True}),
        (EmailPreference(muted_types=["A"]), {"A": False, "B": True}),
        (EmailPreference(muted=True, muted_types=["A"]), {"A": False, "B": False}),
    ],
)
def test_emails_are_wanted_unless_all_or_their_type_is_muted(
    preference: EmailPreference, wanted: dict[str, bool]
) -> None:
    assert {name: preference.wants(name) for name in "AB"} == wanted


@pytest.mark.django_db
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_of_notifications_of_one_moment_the_last_written_is_first(order: tuple[int, ...]) -> None:
    alice, now = player(), timezone.now()
    ages = [0, 0, 1]
    written = [
        HeistNotification.objects.create(
            user=alice, type="TOKEN_EARNED", message="", created_at=now - dt.timedelta(days=ages[number])
        )
        for number in order
    ]

    newest = [one for one in reversed(written) if one.created_at == now]
    assert list(HeistNotification.objects.newest_first())[:2] == newest
