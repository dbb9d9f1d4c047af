"""`insert` writes the rows that `bulk_create` writes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists.choices import HeistNotificationType
from heists.db.insert import insert
from heists.models import HeistNotification
from tests.factories import player

pytestmark = pytest.mark.django_db


def notification(user: Any, **fields: Any) -> HeistNotification:
    return HeistNotification(user=user, type=HeistNotificationType.SHIELD_EXPIRED, message="Gone.", **fields)


def test_every_field_is_written_and_the_rows_get_their_keys() -> None:
    alice, bob = player(), player()
    sent = timezone.now()
    rows = [
        notification(alice, metadata={"at": sent, "name": "Zoë"}),
        notification(bob, read=True, email_sent=True, email_sent_at=sent, created_at=sent - dt.timedelta(days=1)),
    ]

    insert(rows, using="default")

    for row in rows:
        stored = HeistNotification.objects.get(pk=row.pk)
        assert not row._state.adding
        for field in HeistNotification._meta.concrete_fields:
            if field.name != "metadata":
                assert getattr(stored, field.attname) == getattr(row, field.attname)
    assert (HeistNotification.objects.get(user=alice).metadata or {})["name"] == "Zoë"
    assert HeistNotification.objects.get(user=bob).metadata is None


@pytest.mark.parametrize("count", [1, 2, 50, 51])
def test_any_number_of_rows_is_written_in_order(count: int) -> None:
    alice = player()
    rows = [notification(alice, metadata={"number": number}) for number in range(count)]

    with CaptureQueriesContext(connection) as statements:
        insert(rows, using="default")

    stored = HeistNotification.objects.in_bulk([row.pk for row in rows])
    assert [stored[row.pk].metadata for row in rows] == [{"number": number} for number in range(count)]
    assert HeistNotification.objects.count() == count
    assert len(statements) == (1 if count <= 50 else 2)


def test_a_field_knows_that_its_row_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    # As `auto_now_add` has to.
    field = HeistNotification._meta.get_field("message")
    monkeypatch.setattr(field, "pre_save", lambda row, add: "new" if add else "old")
    row = notification(player())

    insert([row], using="default")

    assert HeistNotification.objects.get(pk=row.pk).message == "new"


def test_no_rows_are_no_statement() -> None:
    with CaptureQueriesContext(connection) as statements:
        insert([], using="default")

    assert not statements.captured_queries


def test_a_violated_constraint_marks_the_transaction_for_rollback() -> None:
    alice = player()

    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert([notification(alice, email_sent=True)], using="default")
        # As after save(): code that catches the error can't go on by accident.
        with pytest.raises(TransactionManagementError):
            HeistNotification.objects.exists()
