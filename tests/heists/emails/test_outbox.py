"""What is written in the deed's transaction, and what is called after its commit."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from heists.economy import get_economy
from heists.models import Heist, OutboxEmail
from heists.services import execute_heist, notifications
from tests.conftest import HeistSettings
from tests.factories import player
from tests.heists.mail_server import MailServer

pytestmark = pytest.mark.django_db

handed_over: list[int] = []


def hand_over(ids: list[int]) -> None:
    handed_over.extend(ids)


def fail(ids: list[int]) -> None:
    raise ConnectionError("the broker is down")


@pytest.fixture
def pair():
    handed_over.clear()
    return player("alice", tokens=1, email="alice@example.com"), player("bob", points=1000, email="bob@example.com")


def deliver_by(heist_settings: HeistSettings, path: Any):
    heist_settings(EMAIL_DELIVERY=path)


def test_a_heist_writes_a_letter_for_each_who_has_an_address(pair: Any) -> None:
    alice, bob = pair
    bob.email = ""
    bob.save()
    before = OutboxEmail.objects.count()

    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    emails = OutboxEmail.objects.filter(notification__heist__isnull=False)
    assert [email.notification.user for email in emails] == [alice]
    assert OutboxEmail.objects.count() == before + 1


def test_a_heist_never_speaks_to_the_mail_server(
    pair: Any, mail_server: MailServer, django_capture_on_commit_callbacks: Any
) -> None:
    alice, bob = pair

    with django_capture_on_commit_callbacks(execute=True):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.status == "SUCCESS"
    assert (mail_server.connections, mail.outbox) == (0, [])


def test_no_letter_is_left_of_a_deed_that_is_undone(pair: Any) -> None:
    before = OutboxEmail.objects.count()
    try:
        with transaction.atomic():
            notifications.record(
                notifications.build("SHIELD_EXPIRED", user=pair[0], now=timezone.now()),
                economy=get_economy(),
                using="default",
            )
            raise InterruptedError
    except InterruptedError:
        pass

    assert OutboxEmail.objects.count() == before


def test_a_host_gets_the_letters_after_the_commit(
    pair: Any, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    deliver_by(settings, f"{__name__}.hand_over")
    alice, bob = pair

    with django_capture_on_commit_callbacks() as callbacks:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    assert handed_over == []
    for callback in callbacks:
        callback()

    assert handed_over == list(
        OutboxEmail.objects.filter(notification__heist=heist).order_by("pk").values_list("pk", flat=True)
    )


@pytest.mark.parametrize("path", [f"{__name__}.fail", "no.such.path"])
def test_a_delivery_that_fails_undoes_no_heist_and_loses_no_email(
    pair: Any, settings: Settings, django_capture_on_commit_callbacks: Any, path: Any
) -> None:
    deliver_by(settings, path)
    alice, bob = pair

    with django_capture_on_commit_callbacks(execute=True):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert Heist.objects.get().status == "SUCCESS"
    assert OutboxEmail.objects.filter(notification__heist__isnull=False, state="WAITING").count() == 2


def test_the_service_itself_can_be_named(
    pair: Any, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    deliver_by(settings, "heists.services.deliver_emails")
    alice, bob = pair

    with django_capture_on_commit_callbacks(execute=True):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert sorted(message.to[0] for message in mail.outbox) == ["alice@example.com", "bob@example.com"]
