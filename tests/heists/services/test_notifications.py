"""What a call writes to the outbox in its transaction, and the host's delivery that it calls after the commit."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists import signals
from heists.choices import GrantReason, HeistNotificationType
from heists.economy import get_economy
from heists.models import Heist, HeistNotification, OutboxEmail
from heists.services import add_tokens, buy_shield, execute_heist, expire_shields, grant_tokens, notifications
from tests.conftest import HeistSettings
from tests.factories import bought_shield, player
from tests.heists.mail_server import MailServer

pytestmark = pytest.mark.django_db

delivered: list[int] = []


def deliver(keys: list[int]) -> None:
    delivered.extend(keys)


def fail(keys: list[int]) -> None:
    raise ConnectionError("the broker is down")


@pytest.fixture
def pair() -> tuple[Any, Any]:
    delivered.clear()
    return player("alice", tokens=1, email="alice@example.com"), player("bob", points=1000, email="bob@example.com")


def test_a_heist_writes_an_email_for_each_player_with_an_address(pair: Any) -> None:
    alice, bob = pair
    bob.email = ""
    bob.save()
    before = OutboxEmail.objects.count()

    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    emails = OutboxEmail.objects.filter(notification__heist__isnull=False)
    assert [email.notification.user for email in emails] == [alice]
    assert OutboxEmail.objects.count() == before + 1


def test_a_heist_never_connects_to_the_mail_server(
    pair: Any, mail_server: MailServer, django_capture_on_commit_callbacks: Any
) -> None:
    alice, bob = pair

    with django_capture_on_commit_callbacks(execute=True):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.status == "SUCCESS"
    assert (mail_server.connections, mail.outbox) == (0, [])


def test_a_transaction_that_is_rolled_back_leaves_no_email(pair: Any) -> None:
    before = OutboxEmail.objects.count()

    with pytest.raises(InterruptedError), transaction.atomic():
        notifications.record(
            notifications.build(HeistNotificationType.SHIELD_EXPIRED, user=pair[0], now=timezone.now()),
            economy=get_economy(),
            using="default",
        )
        assert OutboxEmail.objects.count() == before + 1
        raise InterruptedError

    assert OutboxEmail.objects.count() == before


def test_a_hosts_delivery_gets_the_keys_after_the_commit(
    pair: Any, heist_settings: HeistSettings, django_capture_on_commit_callbacks: Any
) -> None:
    heist_settings(EMAIL_DELIVERY=f"{__name__}.deliver")
    alice, bob = pair

    with django_capture_on_commit_callbacks() as callbacks:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    assert delivered == []
    for callback in callbacks:
        callback()

    assert delivered == list(
        OutboxEmail.objects.filter(notification__heist=heist).order_by("pk").values_list("pk", flat=True)
    )


@pytest.mark.parametrize("path", [f"{__name__}.fail", "no.such.path"])
def test_a_delivery_that_fails_undoes_no_heist_and_loses_no_email(
    pair: Any, heist_settings: HeistSettings, django_capture_on_commit_callbacks: Any, path: str
) -> None:
    heist_settings(EMAIL_DELIVERY=path)
    alice, bob = pair

    with django_capture_on_commit_callbacks(execute=True):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert Heist.objects.get().status == "SUCCESS"
    assert OutboxEmail.objects.filter(notification__heist__isnull=False, state="WAITING").count() == 2


def test_deliver_emails_can_be_the_delivery(
    pair: Any, heist_settings: HeistSettings, django_capture_on_commit_callbacks: Any
) -> None:
    heist_settings(EMAIL_DELIVERY="heists.services.deliver_emails")
    alice, bob = pair

    with django_capture_on_commit_callbacks(execute=True):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert sorted(message.to[0] for message in mail.outbox) == ["alice@example.com", "bob@example.com"]


@pytest.fixture
def heard() -> Iterator[list[list[HeistNotification]]]:
    """What a receiver of `notifications_created` got, a list for each signal."""
    got: list[list[HeistNotification]] = []

    def listen(sender: Any, notifications: list[HeistNotification], **kwargs: Any) -> None:
        assert sender is HeistNotification and not connection.in_atomic_block
        with CaptureQueriesContext(connection) as statements:
            assert all(notification.user.get_username() for notification in notifications)
        assert not statements.captured_queries
        got.append(notifications)

    signals.notifications_created.connect(listen)
    yield got
    signals.notifications_created.disconnect(listen)


def written() -> list[tuple[int, str]]:
    return list(HeistNotification.objects.order_by("pk").values_list("pk", "type"))


def told(heard: list[list[HeistNotification]]) -> list[list[tuple[int, str]]]:
    return [[(notification.pk, str(notification.type)) for notification in one] for one in heard]


@pytest.mark.django_db(transaction=True)
class TestTheSignal:
    def test_the_signal_of_new_notifications_is_sent_once_after_the_commit(self, heard: Any) -> None:
        alice, bob = player(tokens=1), player(points=1000)
        heard.clear()
        before = len(written())

        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

        assert told(heard) == [written()[before:]]
        assert [(note.user, note.heist_id, note.type) for note in heard[0]] == [
            (alice, heist.pk, "HEIST_SUCCESS"),
            (bob, heist.pk, "HEIST_VICTIM"),
        ]

    def test_a_rejection_a_repeated_grant_and_a_reading_send_no_signal(self, heard: Any) -> None:
        alice = player(tokens=1)
        grant = {"player": alice, "amount": 1, "reason": GrantReason.STAFF, "source": "once"}
        grant_tokens(**grant)
        heard.clear()

        execute_heist(attacker_id=alice.pk, victim_id=player().pk)
        grant_tokens(**grant)
        notifications.mark_all_read(player_id=alice.pk)

        assert heard == []

    def test_a_shield_that_blocks_is_signalled(self, heard: Any) -> None:
        alice, bob = player(tokens=1), player(points=1000)
        bought_shield(bob, timezone.now())
        heard.clear()

        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

        assert [[(note.user, note.type) for note in one] for one in heard] == [[(bob, "SHIELD_ACTIVATED")]]

    def test_shields_that_expire_together_are_one_signal(self, heard: Any) -> None:
        for _ in range(5):
            bought_shield(player(), timezone.now() - dt.timedelta(days=8))

        assert expire_shields(batch=3) == 5

        assert [len(one) for one in heard] == [3, 2]
        assert [note for one in told(heard) for note in one] == written()

    def test_a_purchase_that_marks_an_expired_shield_signals_it(self, heard: Any) -> None:
        bob = player(coins=50)
        bought_shield(bob, timezone.now() - dt.timedelta(days=8))

        buy_shield(player_id=bob.pk)

        assert told(heard) == [written()]

    def test_each_line_of_a_file_is_signalled_when_it_is_granted(self, heard: Any, tmp_path: Path) -> None:
        file = tmp_path / "tokens.csv"
        file.write_text(f"player,amount\n{player().pk},1\n{player().pk},2\n{player().pk},0\n")

        with pytest.raises(CommandError, match="1 line could not be granted"):
            call_command("grant_tokens", csv=str(file), by="key", stdout=StringIO(), stderr=StringIO())

        assert told(heard) == [[one] for one in written()] and len(heard) == 2

    def test_what_is_rolled_back_is_not_signalled(self, heard: Any) -> None:
        alice = player()
        with pytest.raises(ConnectionError), transaction.atomic():
            add_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="a")
            raise ConnectionError

        assert heard == []
        with transaction.atomic():
            add_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="a")
            assert heard == []
        assert told(heard) == [written()]

    def test_a_retry_signals_only_what_it_committed(self, heard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from heists.db.retry import StaleRead
        from heists.services import heists

        alice, bob = player(tokens=1), player(points=1000)
        heard.clear()
        notify, calls = heists._notify, 0

        def interrupted(*args: Any) -> None:
            nonlocal calls
            calls += 1
            notify(*args)
            if calls == 1:
                raise StaleRead

        monkeypatch.setattr(heists, "_notify", interrupted)

        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

        assert calls == 2 and told(heard) == [written()[-2:]]

    def test_a_receiver_that_fails_breaks_nothing_and_is_logged(
        self, heard: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(**kwargs: Any) -> None:
            raise ConnectionError("the broker is down")

        alice, bob = player(tokens=1), player(points=1000)
        heard.clear()
        signals.notifications_created.connect(fail)
        # It is called first.
        signals.notifications_created.receivers.reverse()
        try:
            with caplog.at_level(logging.ERROR):
                heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
        finally:
            signals.notifications_created.disconnect(fail)

        assert heist.status == "SUCCESS" and Heist.objects.filter(pk=heist.pk).exists()
        # The receiver after it is called all the same.
        assert told(heard) == [written()[-2:]]
        assert "the broker is down" in caplog.text
