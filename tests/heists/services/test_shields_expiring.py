from __future__ import annotations

import datetime as dt
from io import StringIO
from itertools import count
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from heists.models import HeistNotification, OutboxEmail, Shield
from heists.services import buy_shield, expire_shields, notifications
from heists.signals import shield_expired
from tests.factories import player

pytestmark = pytest.mark.django_db


def expired_shields(number: int) -> list[Shield]:
    long_ago = timezone.now() - dt.timedelta(days=30)
    return [
        Shield.objects.create(
            player=player(email=f"player{n}@example.com"),
            cost=0,
            bought_at=long_ago,
            expires_at=long_ago + dt.timedelta(days=7),
        )
        for n in range(number)
    ]


def test_a_due_shield_is_marked_and_its_owner_notified_with_an_email() -> None:
    [shield] = expired_shields(1)

    assert expire_shields() == 1

    shield.refresh_from_db()
    notification = HeistNotification.objects.get()
    assert shield.expired_at is not None
    assert (notification.user, notification.type) == (shield.player, "SHIELD_EXPIRED")
    assert (notification.metadata or {})["shield_id"] == shield.pk
    assert OutboxEmail.objects.get().notification == notification


def test_a_live_shield_and_a_used_one_stay_as_they_are() -> None:
    buy_shield(player_id=player(coins=50).pk)
    [used] = expired_shields(1)
    Shield.objects.filter(pk=used.pk).update(used_at=used.bought_at)

    assert expire_shields() == 0

    assert not HeistNotification.objects.exists()
    assert not Shield.objects.exclude(expired_at=None).exists()


def test_a_shield_expires_exactly_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shield = buy_shield(player_id=player(coins=50).pk)

    monkeypatch.setattr(timezone, "now", lambda: shield.expires_at - dt.timedelta(microseconds=1))
    assert expire_shields() == 0
    monkeypatch.setattr(timezone, "now", lambda: shield.expires_at)
    assert expire_shields() == 1


def test_a_second_call_has_nothing_to_do() -> None:
    expired_shields(3)

    assert [expire_shields(), expire_shields()] == [3, 0]

    assert HeistNotification.objects.count() == 3


def test_the_command_expires_in_batches_and_prints_how_many() -> None:
    expired_shields(5)
    output = StringIO()

    call_command("expire_shields", batch=2, stdout=output)

    assert output.getvalue() == "5 shields expired.\n"
    assert HeistNotification.objects.count() == 5


def test_a_kill_in_the_middle_leaves_each_batch_expired_or_still_due(monkeypatch: pytest.MonkeyPatch) -> None:
    expired_shields(4)
    record, batches = notifications.record, count(1)

    def killed(*args: Any, **kwargs: Any) -> None:
        record(*args, **kwargs)
        if next(batches) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(notifications, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            expire_shields(batch=2)

    marked = Shield.objects.exclude(expired_at=None)
    assert (marked.count(), HeistNotification.objects.count()) == (2, 2)
    assert expire_shields() == 2
    assert HeistNotification.objects.values("user").distinct().count() == HeistNotification.objects.count() == 4


@pytest.mark.parametrize("number", [1, 20])
def test_the_number_of_statements_does_not_grow_with_the_shields(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    expired_shields(number)

    # Two batches with a savepoint each, of which the second is empty: due, mark, notifications, emails; due.
    with django_assert_num_queries(9):
        assert expire_shields() == number


def test_the_signal_is_sent_for_each_after_the_commit(django_capture_on_commit_callbacks: Any) -> None:
    shields: list[Shield] = expired_shields(2)
    received: list[Shield] = []

    def listener(shield: Shield, **kwargs: Any) -> None:
        received.append(shield)

    shield_expired.connect(listener)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            expire_shields()
    finally:
        shield_expired.disconnect(listener)

    assert sorted(shield.pk for shield in received) == sorted(shield.pk for shield in shields)
