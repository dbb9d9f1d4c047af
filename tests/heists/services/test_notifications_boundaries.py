"""What is written for a notification and its email, to the last column; and what marking as read leaves alone."""

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest import mock

import pytest
from django.db import models, transaction
from django.utils import translation

from heists.choices import HeistNotificationType
from heists.db.retry import StaleRead
from heists.economy import get_economy
from heists.models import Heist, HeistNotification, OutboxEmail
from heists.services import execute_heist, mark_all_read, mark_read, notifications
from tests.conftest import HeistSettings
from tests.factories import player

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
EXPIRED = HeistNotificationType.SHIELD_EXPIRED


def built(user: Any, **fields: Any) -> HeistNotification:
    return notifications.build(EXPIRED, user=user, now=NOW, **fields)


def record(*rows: HeistNotification) -> list[HeistNotification]:
    return notifications.record(*rows, economy=get_economy(), using="default")


def test_the_row_has_every_column() -> None:
    alice = player()
    heist = execute_heist(attacker_id=alice.pk, victim_id=player().pk)

    [row] = record(built(alice, heist_id=heist.pk, shield_id=7))

    row = HeistNotification.objects.get(pk=row.pk)
    assert (row.user_id, row.heist_id, row.type, row.created_at) == (alice.pk, heist.pk, "SHIELD_EXPIRED", NOW)
    assert row.metadata == {"shield_id": 7}
    assert (row.read, row.email_sent, row.email_sent_at) == (False, False, None)
    with translation.override("en"):
        from heists.messages import notification_message

        assert row.message == notification_message(EXPIRED, {"shield_id": 7}) != "SHIELD_EXPIRED"


def test_a_type_without_a_sentence_is_its_own_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "notification_message", lambda type, metadata: "")

    assert built(player()).message == "SHIELD_EXPIRED"


def test_an_email_is_due_when_its_notification_is_written() -> None:
    written = record(built(player(email="a@example.com")), built(player()))

    email = OutboxEmail.objects.get()
    assert (email.notification_id, email.due_at) == (written[0].pk, NOW)


def test_emails_of_a_site_that_turned_them_off_are_not_written(heist_settings: HeistSettings) -> None:
    heist_settings(EMAIL_ENABLED=False)

    assert len(record(built(player(email="a@example.com")))) == 1
    assert not OutboxEmail.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_delivery_gets_nothing_where_nobody_has_an_address(heist_settings: HeistSettings) -> None:
    heist_settings(EMAIL_DELIVERY=f"{__name__}.deliver")
    deliver.reset_mock()

    with transaction.atomic():
        record(built(player()))
    deliver.assert_not_called()
    with transaction.atomic():
        record(built(player(email="a@example.com")))
    deliver.assert_called_once_with([OutboxEmail.objects.get().pk])


deliver = mock.Mock()


@pytest.mark.django_db(transaction=True)
def test_a_delivery_that_fails_stops_no_hook_of_the_host(heist_settings: HeistSettings) -> None:
    heist_settings(EMAIL_DELIVERY="no.such.path")
    later = mock.Mock()

    with transaction.atomic():
        record(built(player(email="a@example.com")))
        transaction.on_commit(later)

    later.assert_called_once_with()


def test_marking_one_marks_the_players_own_alone() -> None:
    alice, bob = player(), player()
    first, second, other = record(built(alice), built(alice), built(bob))

    assert mark_read(player_id=alice.pk, notification_id=other.pk) is False
    assert mark_read(player_id=alice.pk, notification_id=0) is False
    assert not HeistNotification.objects.filter(read=True).exists()
    assert [mark_read(player_id=str(alice.pk), notification_id=first.pk) for _ in range(2)] == [True, True]
    assert set(HeistNotification.objects.filter(read=True)) == {first}
    assert second in HeistNotification.objects.unread()


def test_marking_all_counts_the_players_unread_ones() -> None:
    alice, bob = player(), player()
    first, *_others = record(built(alice), built(alice), built(alice), built(bob))
    mark_read(player_id=alice.pk, notification_id=first.pk)

    assert [mark_all_read(player_id=str(alice.pk)) for _ in range(2)] == [2, 0]
    assert [row.user for row in HeistNotification.objects.unread()] == [bob]


def test_marking_is_tried_again_where_another_transaction_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player()
    [row] = record(built(alice))
    update, failures = models.QuerySet.update, [StaleRead, StaleRead]

    def fail_first(self: Any, **fields: Any) -> int:
        if failures:
            raise failures.pop()
        return update(self, **fields)

    monkeypatch.setattr(models.QuerySet, "update", fail_first)

    assert mark_read(player_id=alice.pk, notification_id=row.pk)
    failures.append(StaleRead)
    assert mark_all_read(player_id=alice.pk) == 0
    assert (failures, Heist.objects.count()) == ([], 0)


def test_rows_are_written_to_the_database_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, heist_settings: HeistSettings
) -> None:
    heist_settings(EMAIL_DELIVERY=f"{__name__}.deliver")
    insert, on_commit = mock.Mock(), mock.Mock()
    monkeypatch.setattr(notifications, "insert", insert)
    monkeypatch.setattr(transaction, "on_commit", on_commit)

    [row] = notifications.record(built(player(email="a@example.com")), economy=get_economy(), using="another")

    assert [call.kwargs for call in insert.call_args_list] == [{"using": "another"}] * 2
    assert insert.call_args_list[0].args == ((row,),)
    assert on_commit.call_args.kwargs == {"using": "another", "robust": True}
