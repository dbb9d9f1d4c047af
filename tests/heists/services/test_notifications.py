"""What a call writes to the outbox in its transaction, and the host's delivery that it calls after the commit."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from heists.choices import HeistNotificationType
from heists.economy import get_economy
from heists.models import Heist, OutboxEmail
from heists.services import execute_heist, notifications
from tests.conftest import HeistSettings
from tests.factories import player
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
