from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from heists import notifications
from heists.choices import HeistNotificationType
from heists.economy import get_economy
from heists.models import HeistNotification, Letter

from .mail_server import MailServer

SITE = "https://game.example"


@pytest.fixture(autouse=True)
def site_url(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": SITE}


@pytest.fixture
def letter_to() -> Callable[..., Letter]:
    """Tell a player something, and return the letter that goes with it."""

    def tell(user: Any, type: HeistNotificationType = HeistNotificationType.SHIELD_EXPIRED, **details: Any) -> Letter:
        with transaction.atomic():
            [notification] = notifications.send(
                notifications.build(type, user=user, now=timezone.now(), **details),
                economy=get_economy(),
                using="default",
            )
        return Letter.objects.select_related("notification__user").get(notification=notification)

    return tell


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    with MailServer() as server:
        # From Django 6.1 on, the site has these instead; the settings from before still serve where they are gone.
        if hasattr(settings, "MAILERS"):
            del settings.MAILERS
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        yield server


def state_of(letter: Letter) -> str:
    return Letter.objects.values_list("state", flat=True).get(pk=letter.pk)


def is_marked_sent(letter: Letter) -> bool:
    row = HeistNotification.objects.get(letter=letter)
    assert row.email_sent == (row.email_sent_at is not None)
    return row.email_sent
