from __future__ import annotations

import dataclasses
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

from .elsewhere import only

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR, INSTANT = dt.timedelta(hours=1), dt.timedelta(microseconds=1)


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


def notification(read: bool, age: dt.timedelta) -> HeistNotification:
    user = player()
    return HeistNotification.objects.create(
        user=user, type="SHIELD_EXPIRED", message="…", read=read, created_at=NOW - age
    )


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def test_what_is_exactly_as_old_as_the_age_stays(frozen: None) -> None:
    ages: dict[str, Any] = {"read": 2 * HOUR, "unread": 3 * HOUR, "address": 4 * HOUR}
    stay = [notification(True, 2 * HOUR), notification(False, 3 * HOUR)]
    notification(True, 2 * HOUR + INSTANT)
    notification(False, 3 * HOUR + INSTANT)
    heists = [heist_with_address(1), heist_with_address(1), heist_with_address(1)]
    for heist, age in zip(heists, (4 * HOUR, 4 * HOUR + INSTANT, 5 * HOUR), strict=True):
        rewrite(heist, created_at=NOW - age)
    # Those of the heists are read and young.
    HeistNotification.objects.filter(heist__isnull=False).update(read=True, created_at=NOW)
    HeistNotification.objects.filter(type="TOKEN_EARNED").update(created_at=NOW)

    for dry_run in (True, False):
        assert prune(dry_run=dry_run, **ages) == retention.Pruned(2, 2)

    assert set(stay) <= set(HeistNotification.objects.all())
    assert HeistNotification.objects.filter(type="SHIELD_EXPIRED").count() == 2
    assert [Heist.objects.get(pk=heist.pk).ip_address for heist in heists] == ["192.0.2.7", None, None]
    assert prune(**ages) == retention.Pruned(0, 0)


def test_a_call_that_removes_nothing_ends_because_another_one_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, calls = Heist.objects.using("default"), []
    heist_with_address(1)

    def change(pks: list[int]) -> int:
        calls.append(pks)
        assert len(calls) < 3
        return 0

    assert retention._in_batches(rows, change, 10) == 0
    assert len(calls) == 1


def test_the_oldest_notifications_go_first_and_addresses_in_the_order_of_their_index(frozen: None) -> None:
    for hours in (5, 7, 6):
        notification(True, hours * HOUR)
    heist_with_address(1)

    with CaptureQueriesContext(connection) as queries:
        prune(read=HOUR, address=HOUR)

    reads = [q["sql"] for q in queries if q["sql"].startswith("SELECT") and "LIMIT 50000" in q["sql"]]
    assert 'ORDER BY "heists_heistnotification"."created_at" ASC LIMIT 50000' in reads[0]
    assert any(
        'ORDER BY "heists_heist"."ip_address" ASC, "heists_heist"."created_at" ASC LIMIT' in sql for sql in reads
    )
    changes = [q["sql"] for q in queries if q["sql"].startswith("UPDATE")]
    assert changes and not any("ORDER BY" in sql for sql in changes)


def test_every_statement_goes_to_the_database_of_the_heists(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    notification(True, 100 * 24 * HOUR)
    rewrite(heist_with_address(1), created_at=NOW - 100 * 24 * HOUR)
    only(Heist, settings, monkeypatch)

    assert prune(dry_run=True) == prune() == retention.Pruned(1, 1)


def test_what_was_pruned_is_a_value() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        retention.Pruned(1, 2).addresses = 3  # type: ignore[misc]


def test_a_statement_changes_500_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def note(rows: Any, change: Any, batch: int) -> int:
        sizes.append(batch)
        return 0

    monkeypatch.setattr(retention, "_in_batches", note)

    prune()

    assert sizes == [500, 500]


@pytest.mark.parametrize("option", ["read_days", "unread_days", "address_days"])
def test_an_age_has_both_its_ends_and_is_of_its_own_rows(notified: Notified, option: str) -> None:
    notified(days=5, read=True)
    notified(days=5, read=False)
    heist_with_address(5)
    expected = {"read_days": "1 notification and 0", "unread_days": "1 notification and 0", "address_days": "0 notif"}

    assert pruned(dry_run=True, **{option: 36_600}).startswith("0 notifications and 0 addresses")
    assert pruned(dry_run=True, **{option: 1}).startswith(expected[option])
    for days in (0, 36_601):
        with pytest.raises(CommandError, match="Days are whole numbers from 1 to 36600"):
            pruned(dry_run=True, **{option: days})


def test_each_default_is_its_setting(notified: Notified, heist_settings: HeistSettings) -> None:
    heist_settings(RETENTION_READ_DAYS=400, RETENTION_UNREAD_DAYS=10, RETENTION_ADDRESS_DAYS=300)
    for read in (True, False):
        notified(days=200, read=read)
    heist_with_address(200)

    assert pruned(dry_run=True).startswith("1 notification and 0 addresses")

    heist_settings(RETENTION_ADDRESS_DAYS=20)
    assert pruned(dry_run=True).startswith("1 notification and 1 address")


def test_the_batch_of_the_command_is_that_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(
        "heists.management.commands.prune_heists.prune",
        lambda **options: given.append(options) or retention.Pruned(0, 0),  # type: ignore[func-returns-value]
    )
    pruned(batch=1)
    pruned()

    assert [options["batch"] for options in given] == [1, retention.BATCH_SIZE]
