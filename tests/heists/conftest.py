from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from gamification.economy import GamificationEconomy
from heists.choices import HeistNotificationType
from heists.economy import get_economy
from heists.models import HeistNotification, OutboxEmail
from heists.services import notifications
from tests.conftest import HeistSettings

from .mail_server import MailServer

SITE = "https://game.example"


class EmailTo(Protocol):
    def __call__(self, user: Any, type: str = ..., **details: Any) -> OutboxEmail: ...


@pytest.fixture
def site_url(heist_settings: HeistSettings) -> None:
    heist_settings(SITE_URL=SITE)


@pytest.fixture
def email_to() -> EmailTo:
    """A function that records a notification for a player and returns its outbox email."""

    def create(user: Any, type: str = HeistNotificationType.SHIELD_EXPIRED, **details: Any) -> OutboxEmail:
        with transaction.atomic():
            [notification] = notifications.record(
                notifications.build(HeistNotificationType(type), user=user, now=timezone.now(), **details),
                economy=get_economy(),
                using="default",
            )
        return OutboxEmail.objects.select_related("notification__user").get(notification=notification)

    return create


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> list[set[Any]]:
    """An economy with names of its own. Returns the players of each call of `names`."""
    calls: list[set[Any]] = []

    def names(self: Any, players: Any) -> dict[Any, str]:
        keys = {player.pk for player in players}
        calls.append(keys)
        return {key: f"Number {key}" for key in keys}

    monkeypatch.setattr(GamificationEconomy, "names", names, raising=False)
    return calls


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    with MailServer() as server:
        # From Django 6.1 on, the site has these instead; the settings from before still serve where they are gone.
        if hasattr(settings, "MAILERS"):
            del settings.MAILERS
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        yield server


def state_of(email: OutboxEmail) -> str:
    return OutboxEmail.objects.values_list("state", flat=True).get(pk=email.pk)


def is_marked_sent(email: OutboxEmail) -> bool:
    row = HeistNotification.objects.get(outbox_email=email)
    assert row.email_sent == (row.email_sent_at is not None)
    return row.email_sent
