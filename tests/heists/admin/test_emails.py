"""Sending emails again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from heists.admin import emails as module
from heists.choices import EmailState
from heists.models import OutboxEmail
from tests.factories import player

pytestmark = pytest.mark.django_db

LIST = "admin:heists_outboxemail_changelist"


def email(state: EmailState) -> OutboxEmail:
    """Return an email about earned tokens, in this state."""
    user = player(tokens=1, email="somebody@example.org")
    OutboxEmail.objects.filter(notification__user=user).update(state=state, attempts=5)
    return OutboxEmail.objects.get(notification__user=user)


def send_again(client: Client, *emails: OutboxEmail) -> str:
    """Choose the action, and confirm it on its page where there is one; return the last page."""
    data: dict[str, Any] = {"action": "send_again", "_selected_action": [row.pk for row in emails], "index": "0"}
    page = client.post(reverse(LIST), data, follow=True)
    if "hidden" in page.context:
        data = {}
        for name, value in page.context["hidden"]:
            data.setdefault(name, []).append(value)
        page = client.post(reverse(LIST), data, follow=True)
    return page.content.decode()


def test_it_asks_first_how_many_emails_are_sent_again(client: Client, boss: Any) -> None:
    emails = [email(EmailState.SENT), email(EmailState.SENT)]
    data = {"action": "send_again", "_selected_action": [row.pk for row in emails], "index": "0"}

    page = client.post(reverse(LIST) + "?state=SENT", data).content.decode()

    assert "2 emails are sent again." in page
    assert "2 of them were sent before: their players get them twice." in page
    assert 'value="Yes, send 2 emails again"' in page
    assert f'href="{reverse(LIST)}?state=SENT" class="closelink"' in page
    assert OutboxEmail.objects.filter(state=EmailState.WAITING).count() == 0


def test_emails_go_back_into_the_outbox_except_one_that_is_being_sent(client: Client, boss: Any) -> None:
    failed, sent, leased = email(EmailState.FAILED), email(EmailState.SENT), email(EmailState.WAITING)
    OutboxEmail.objects.filter(pk=leased.pk).update(leased_until=timezone.now() + dt.timedelta(minutes=1))

    page = send_again(client, failed, sent, leased)

    for row in (failed, sent, leased):
        row.refresh_from_db()
    assert [(row.state, row.attempts) for row in (failed, sent)] == [(EmailState.WAITING, 0)] * 2
    assert leased.attempts == 5
    assert "2 emails will be sent again." in page and "1 email was not changed" in page
    assert {entry.object_id for entry in LogEntry.objects.filter(user=boss)} == {str(failed.pk), str(sent.pk)}


def test_sending_again_needs_its_own_permission(client: Client, auditor: Any) -> None:
    failed = email(EmailState.FAILED)
    send_again(client, failed)
    failed.refresh_from_db()
    assert failed.state == EmailState.FAILED

    auditor.user_permissions.add(Permission.objects.get(codename="send_again", content_type__app_label="heists"))
    send_again(client, failed)
    failed.refresh_from_db()
    assert failed.state == EmailState.WAITING


@pytest.mark.django_db(transaction=True)
def test_sending_again_works_inside_a_transaction_around_the_request(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = email(EmailState.FAILED)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert "1 email will be sent again." in send_again(client, failed)

    failed.refresh_from_db()
    assert failed.state == EmailState.WAITING


def test_as_many_emails_as_the_limit_are_sent_again_and_no_more(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_EMAILS", 2)
    emails = [email(EmailState.FAILED) for _number in range(3)]

    assert "Select at most 2 emails." in send_again(client, *emails)
    assert OutboxEmail.objects.filter(state=EmailState.FAILED).count() == 3
    assert "2 emails will be sent again." in send_again(client, *emails[:2])
    assert list(OutboxEmail.objects.filter(state=EmailState.FAILED)) == [emails[2]]
