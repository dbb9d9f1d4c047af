from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from io import StringIO
from typing import Any, Protocol

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists.models import Heist, HeistNotification, OutboxEmail
from heists.services import execute_heist, prune, retention
from tests.conftest import HeistSettings
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db


def days_ago(days: int) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


class Notified(Protocol):
    def __call__(self, *, days: int, read: bool) -> HeistNotification: ...


@pytest.fixture
def notified() -> Notified:
    """A function that makes a notification of this age, with an email."""
    bob = player("bob")

    def make(*, days: int, read: bool) -> HeistNotification:
        notification = HeistNotification.objects.create(
            user=bob, type="SHIELD_EXPIRED", message="…", read=read, created_at=days_ago(days)
        )
        OutboxEmail.objects.create(notification=notification, state="SENT")
        return notification

    return make


def heist_with_address(days: int) -> Heist:
    alice, bob = player(tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    rewrite(heist, created_at=days_ago(days))
    return heist


def pruned(**options: Any) -> str:
    output = StringIO()
    call_command("prune_heists", stdout=output, **options)
    return output.getvalue()


def test_read_notifications_go_after_90_days_and_unread_ones_after_180_with_their_emails(notified: Notified) -> None:
    stay = [notified(days=89, read=True), notified(days=179, read=False)]
    for days, read in ((91, True), (181, False), (400, True)):
        notified(days=days, read=read)

    assert pruned() == "3 notifications and 0 addresses pruned.\n"

    assert set(HeistNotification.objects.all()) == set(stay)
    assert OutboxEmail.objects.count() == 2


def test_addresses_go_after_90_days_and_the_heists_stay_as_they_are() -> None:
    old, young = heist_with_address(91), heist_with_address(89)
    before = Heist.objects.filter(pk=old.pk).values().get()

    assert pruned() == "0 notifications and 1 address pruned.\n"

    assert Heist.objects.filter(pk=old.pk).values().get() == {**before, "ip_address": None}
    young.refresh_from_db()
    assert young.ip_address == "192.0.2.7"


def test_a_dry_run_counts_and_changes_nothing(notified: Notified) -> None:
    notified(days=91, read=True)
    heist_with_address(91)

    assert pruned(dry_run=True) == "1 notification and 1 address would be pruned; nothing was changed.\n"

    assert pruned() == "1 notification and 1 address pruned.\n"


def test_ages_are_settings_and_options(notified: Notified, heist_settings: HeistSettings) -> None:
    heist_settings(RETENTION_READ_DAYS=10, RETENTION_UNREAD_DAYS=20)
    notified(days=11, read=True)
    notified(days=11, read=False)

    assert pruned() == "1 notification and 0 addresses pruned.\n"
    assert pruned(unread_days=5) == "1 notification and 0 addresses pruned.\n"


@pytest.mark.parametrize("age", ["read", "unread", "address"])
def test_an_age_of_zero_is_zero(notified: Notified, age: str) -> None:
    notified(days=1, read=True)
    notified(days=1, read=False)
    heist_with_address(1)

    ages: dict[str, Any] = {age: dt.timedelta(0)}

    found = prune(dry_run=True, **ages)

    assert (found.notifications, found.addresses) == {"read": (1, 0), "unread": (1 + 3, 0), "address": (0, 1)}[age]


@pytest.mark.parametrize("days", [0, -1, 36_601])
def test_an_age_out_of_range_is_an_error(days: int, notified: Notified) -> None:
    notified(days=200, read=True)

    with pytest.raises(CommandError):
        pruned(read_days=days)

    assert HeistNotification.objects.count() == 1


def test_rows_are_deleted_in_batches_also_beyond_the_keys_read_at_once(
    notified: Notified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEYS_PER_READ", 4)
    for _ in range(10):
        notified(days=91, read=True)

    with CaptureQueriesContext(connection) as queries:
        assert prune(batch=2).notifications == 10

    deletes = [q["sql"] for q in queries if q["sql"].startswith('DELETE FROM "heists_heistnotification"')]
    assert len(deletes) == 5


def test_a_notification_that_changes_between_reading_and_deleting_stays(
    notified: Notified, monkeypatch: pytest.MonkeyPatch
) -> None:
    spared = notified(days=91, read=True)
    batches = retention._in_batches

    def unread_meanwhile(rows: Any, delete: Callable[[list[Any]], int], batch: int) -> int:
        def after_update(keys: list[Any]) -> int:
            assert HeistNotification.objects.update(read=False) == 1
            return delete(keys)

        return batches(rows, after_update, batch)

    monkeypatch.setattr(retention, "_in_batches", unread_meanwhile)

    assert prune().notifications == 0

    assert HeistNotification.objects.get() == spared
