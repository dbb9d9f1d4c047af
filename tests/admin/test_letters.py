"""Staff send a letter again that did not go out; with the permission to, and never one that did."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from heists.choices import LetterState
from heists.models import Letter
from tests.factories import player

pytestmark = pytest.mark.django_db

LIST = "admin:heists_letter_changelist"


def letter(state: LetterState) -> Letter:
    """A letter about tokens earned, in this state."""
    user = player(tokens=1, email="somebody@example.org")
    Letter.objects.filter(notification__user=user).update(state=state, attempts=5)
    return Letter.objects.get(notification__user=user)


def send_again(client: Client, *letters: Letter) -> str:
    chosen = {"action": "send_again", "_selected_action": [row.pk for row in letters], "index": "0"}
    return client.post(reverse(LIST), chosen, follow=True).content.decode()


def test_a_letter_given_up_goes_back_into_the_outbox(client: Client, boss: Any) -> None:
    failed, sent = letter(LetterState.FAILED), letter(LetterState.SENT)

    page = send_again(client, failed, sent)

    failed.refresh_from_db()
    sent.refresh_from_db()
    assert (failed.state, failed.attempts) == (LetterState.WAITING, 0)
    assert (sent.state, sent.attempts) == (LetterState.SENT, 5)
    assert "1 letter will be sent again." in page and "1 letter was left alone" in page
    assert [entry.object_id for entry in LogEntry.objects.filter(user=boss)] == [str(failed.pk)]


def test_sending_again_needs_its_own_permission(client: Client, auditor: Any) -> None:
    failed = letter(LetterState.FAILED)
    send_again(client, failed)
    failed.refresh_from_db()
    assert failed.state == LetterState.FAILED

    auditor.user_permissions.add(Permission.objects.get(codename="send_again", content_type__app_label="heists"))
    send_again(client, failed)
    failed.refresh_from_db()
    assert failed.state == LetterState.WAITING
