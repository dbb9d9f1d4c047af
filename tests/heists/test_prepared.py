"""Statements compiled once do what the ORM's own do, with each call's own values (heists/prepared.py)."""

from __future__ import annotations

import datetime as dt
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification.models import PlayerProfile
from gamification.services import lock_profiles
from heists import prepared
from heists.choices import HeistNotificationType
from heists.models import HeistNotification, HeistToken
from heists.prepared import Given, Prepared, insert, update
from tests.factories import player

pytestmark = pytest.mark.django_db


def notice(user: Any, **fields: Any) -> HeistNotification:
    return HeistNotification(user=user, type=HeistNotificationType.SHIELD_EXPIRED, message="Gone.", **fields)


def test_an_update_changes_the_rows_that_still_say_so() -> None:
    alice, bob = player(tokens=3), player(tokens=3)
    now = timezone.now()

    for before, after in ((3, 2), (2, 1)):
        where = {"user": alice.pk, "balance": before}
        assert update(HeistToken, where=where, to={"balance": after, "total_spent": 3 - after, "updated_at": now}) == 1
        assert update(HeistToken, where=where, to={"balance": after}) == 0

    assert HeistToken.objects.get(user=alice).balance == 1
    assert HeistToken.objects.get(user=alice).updated_at == now
    assert HeistToken.objects.get(user=bob).balance == 3


def test_an_update_tells_nothing_from_a_value() -> None:
    alice, now = player(tokens=1), timezone.now()

    for before, after in ((None, now), (now, now + dt.timedelta(hours=1)), (now + dt.timedelta(hours=1), None)):
        where = {"user": alice.pk, "last_spent_at": before}
        assert update(HeistToken, where=where, to={"last_spent_at": after}) == 1
        assert HeistToken.objects.get(user=alice).last_spent_at == after
    assert update(HeistToken, where={"user": alice.pk, "last_spent_at": now}, to={"balance": 0}) == 0


def test_an_insert_writes_every_field_and_knows_its_rows() -> None:
    alice, bob = player(), player()
    sent = timezone.now()
    rows = [
        notice(alice, metadata={"at": sent, "name": "Zoë"}),
        notice(bob, read=True, email_sent=True, email_sent_at=sent, created_at=sent - dt.timedelta(days=1)),
    ]

    insert(rows)

    for row in rows:
        stored = HeistNotification.objects.get(pk=row.pk)
        assert not row._state.adding
        for field in HeistNotification._meta.concrete_fields:
            if field.name != "metadata":
                assert getattr(stored, field.attname) == getattr(row, field.attname)
    assert HeistNotification.objects.get(user=alice).metadata["name"] == "Zoë"
    assert HeistNotification.objects.get(user=bob).metadata is None


@pytest.mark.parametrize("count", [1, 2, prepared.ROWS_AT_ONCE, prepared.ROWS_AT_ONCE + 1])
def test_any_number_of_rows_is_written_in_their_order(count: int) -> None:
    alice = player()
    rows = [notice(alice, metadata={"number": number}) for number in range(count)]

    insert(rows)

    stored = HeistNotification.objects.in_bulk([row.pk for row in rows])
    assert [stored[row.pk].metadata["number"] for row in rows] == list(range(count))


def test_no_rows_are_no_statement() -> None:
    with CaptureQueriesContext(connection) as statements:
        insert([])

    assert not statements.captured_queries


def test_rows_that_bring_their_keys_keep_them() -> None:
    alice = player()

    insert([notice(alice, pk=4711), notice(alice, pk=4712)])
    with pytest.raises(ValueError, match="primary keys"):
        insert([notice(alice, pk=4713), notice(alice)])

    assert set(HeistNotification.objects.values_list("pk", flat=True)) == {4711, 4712}


@pytest.mark.parametrize(("where", "to"), [({}, {"balance": 0}), ({"balance": 1}, {})])
def test_an_update_of_every_row_or_of_nothing_is_refused(where: dict[str, Any], to: dict[str, Any]) -> None:
    player(tokens=1)

    with pytest.raises(ValueError, match="which rows"):
        update(HeistToken, where=where, to=to)

    assert HeistToken.objects.get().balance == 1


@pytest.mark.parametrize("write", ["insert", "update"])
def test_what_the_database_refuses_undoes_the_transaction(write: str) -> None:
    alice = player(tokens=1)

    with transaction.atomic():
        with pytest.raises(IntegrityError):
            if write == "insert":
                insert([notice(alice, email_sent=True)])
            else:
                update(HeistToken, where={"user": alice.pk}, to={"balance": -1})
        # As after a refused save(): whoever swallows the error does not go on by accident.
        with pytest.raises(TransactionManagementError):
            HeistToken.objects.exists()


def test_a_query_is_compiled_once_and_asked_with_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(points=10), player(points=20)
    key: Any = PlayerProfile._meta.get_field("user")
    points = Prepared(PlayerProfile.objects.filter(user=Given("user", key)).values_list("monthly_points", flat=True))
    monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.get_select", None)

    assert points.ask({"user": alice.pk}) == [10]
    assert points.ask({"user": bob.pk}) == [20]
    assert points.ask({"user": 0}) == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_lock_outside_a_transaction_is_refused_each_time() -> None:
    alice = player(points=10)
    with transaction.atomic():
        lock_profiles(alice.pk)

    for _time in range(2):
        with pytest.raises(TransactionManagementError):
            lock_profiles(alice.pk)


def test_a_statement_lets_go_of_the_thread_that_compiled_it() -> None:
    key: Any = PlayerProfile._meta.get_field("user")

    def compiled() -> tuple[Prepared, weakref.ref[Any]]:
        points = PlayerProfile.objects.filter(user=Given("user", key)).values_list("monthly_points", flat=True)
        return Prepared(points), weakref.ref(connections["default"])

    with ThreadPoolExecutor(1) as threads:
        statement, its_connection = threads.submit(compiled).result()
    gc.collect()

    assert its_connection() is None
    assert statement.ask({"user": player(points=7).pk}) == [7]
