"""Emails over a real SMTP connection that works, is rejected, drops or hangs."""

from __future__ import annotations

import datetime as dt
import socket
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from heists.economy import get_economy
from heists.emails import compose as heist_mail
from heists.emails import outbox
from heists.models import EmailPreference, HeistNotification, OutboxEmail
from heists.services import deliver_due_emails, deliver_emails, send_again
from tests.conftest import HeistSettings
from tests.factories import player
from tests.heists.conftest import EmailTo, is_marked_sent, state_of
from tests.heists.mail_server import BUSY, DROP, HANG, OK, MailServer

pytestmark = pytest.mark.django_db


def bob(**fields: Any) -> Any:
    return player("bob", email="bob@example.com", **fields)


def test_an_email_arrives_and_is_marked_as_sent(mail_server: MailServer, email_to: EmailTo) -> None:
    email = email_to(bob())
    before = timezone.now()

    tally = deliver_due_emails()

    [arrived] = mail_server.arrived
    email.refresh_from_db()
    assert arrived["To"] == "bob@example.com"
    assert (tally.sent, email.state, email.attempts, email.lease, email.last_error) == (1, "SENT", 1, None, "")
    notification = HeistNotification.objects.get()
    assert notification.email_sent and notification.email_sent_at is not None
    assert before <= notification.email_sent_at <= timezone.now()


def test_many_emails_share_one_connection(mail_server: MailServer, email_to: EmailTo) -> None:
    user = bob()
    for _ in range(10):
        email_to(user)

    deliver_due_emails(batch=10)

    assert (len(mail_server.arrived), mail_server.connections) == (10, 1)


def test_what_was_sent_is_not_sent_again(mail_server: MailServer, email_to: EmailTo) -> None:
    email_to(bob())

    deliver_due_emails()
    assert deliver_due_emails().leased == 0

    assert mail_server.deliveries == 1


@pytest.mark.parametrize(("answer", "reason"), [(BUSY, "451"), (DROP, "SMTPServerDisconnected"), (HANG, "timed out")])
def test_a_server_that_fails_only_delays_and_leaves_the_reason(
    mail_server: MailServer, email_to: EmailTo, settings: Settings, answer: str, reason: str
) -> None:
    settings.EMAIL_TIMEOUT = 0.5
    mail_server.answer = lambda number, recipient: answer if number == 1 else OK
    first, second = email_to(bob()), email_to(player("carol", email="carol@example.com"))

    tally = deliver_due_emails()

    first.refresh_from_db()
    assert (tally.sent, tally.failed) == (1, 1)
    assert [first.state, first.attempts, state_of(second)] == ["WAITING", 1, "SENT"]
    assert reason in first.last_error
    assert not is_marked_sent(first)
    OutboxEmail.objects.update(due_at=timezone.now())
    assert deliver_due_emails().sent == 1
    assert is_marked_sent(first)
    assert [m["To"] for m in mail_server.arrived] == ["carol@example.com", "bob@example.com"]


def test_each_failure_doubles_the_wait_up_to_an_hour(
    mail_server: MailServer, email_to: EmailTo, monkeypatch: pytest.MonkeyPatch, heist_settings: HeistSettings
) -> None:
    heist_settings(EMAIL_MAX_ATTEMPTS=100)
    mail_server.answer = lambda number, recipient: BUSY
    email, now, waits = email_to(bob()), timezone.now(), list[float]()

    for _ in range(9):
        monkeypatch.setattr(timezone, "now", lambda: now)  # noqa: B023
        deliver_emails([email.pk])
        email.refresh_from_db()
        waits.append((email.due_at - now).total_seconds())
        now = email.due_at

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_an_email_that_fails_too_often_is_given_up_and_staff_can_send_it_again(
    mail_server: MailServer, email_to: EmailTo, heist_settings: HeistSettings
) -> None:
    heist_settings(EMAIL_MAX_ATTEMPTS=2)
    mail_server.answer = lambda number, recipient: BUSY if number <= 2 else OK
    email = email_to(bob())

    deliver_due_emails()
    OutboxEmail.objects.update(due_at=timezone.now())
    tally = deliver_due_emails()

    assert (tally.given_up, state_of(email), is_marked_sent(email)) == (1, "FAILED", False)
    assert deliver_due_emails().leased == 0
    assert send_again(email)
    assert deliver_due_emails().sent == 1
    assert (state_of(email), is_marked_sent(email)) == ("SENT", True)


def test_staff_can_send_a_sent_email_again(mail_server: MailServer, email_to: EmailTo) -> None:
    email = email_to(bob())
    deliver_due_emails()

    assert send_again(email)

    assert (state_of(email), is_marked_sent(email)) == ("WAITING", False)
    assert deliver_due_emails().sent == 1
    assert (state_of(email), is_marked_sent(email)) == ("SENT", True)
    assert len(mail_server.arrived) == 2


def test_a_leased_email_can_not_be_sent_again(email_to: EmailTo) -> None:
    email = email_to(bob())
    OutboxEmail.objects.update(leased_until=timezone.now() + dt.timedelta(minutes=1))

    assert not send_again(email)


def test_an_unreachable_server_counts_as_no_attempt(
    email_to: EmailTo, settings: Settings, mail_server: MailServer
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = closed.getsockname()[1]
        email = email_to(bob())

        with pytest.raises(CommandError, match="unreachable"):
            call_command("send_heist_emails")

    email.refresh_from_db()
    assert (email.state, email.attempts, email.lease) == ("WAITING", 0, None)
    assert "refused" in email.last_error
    settings.EMAIL_PORT = mail_server.port
    assert deliver_due_emails().sent == 1


def test_a_server_that_never_answers_is_unreachable_too(
    email_to: EmailTo, settings: Settings, mail_server: MailServer
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = silent.getsockname()[1], 0.2
        email_to(bob())

        assert "timed out" in deliver_due_emails().unreachable


def test_the_connection_has_a_timeout_where_the_host_set_none(mail_server: MailServer, settings: Settings) -> None:
    settings.EMAIL_TIMEOUT = None
    post = outbox.MailConnection()

    connection = post._open()

    assert connection.timeout == outbox.SMTP_TIMEOUT_SECONDS
    connection.close()


def test_the_email_of_a_dead_worker_is_sent_when_its_lease_has_expired(
    mail_server: MailServer, email_to: EmailTo
) -> None:
    email = email_to(bob())
    over = timezone.now() + dt.timedelta(seconds=60)
    OutboxEmail.objects.update(lease=uuid.uuid4(), leased_until=over)
    assert deliver_due_emails().leased == 0

    OutboxEmail.objects.update(leased_until=timezone.now())

    assert deliver_due_emails().sent == 1
    assert is_marked_sent(email)


def test_a_worker_that_lost_its_lease_marks_nothing(
    mail_server: MailServer, email_to: EmailTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = email_to(bob())
    deliver = outbox.MailConnection.send

    def deliver_and_lose(self: Any, message: Any) -> None:
        deliver(self, message)
        OutboxEmail.objects.update(lease=uuid.uuid4())

    monkeypatch.setattr(outbox.MailConnection, "send", deliver_and_lose)

    tally = deliver_due_emails()

    assert (tally.sent, state_of(email), is_marked_sent(email)) == (0, "WAITING", False)


def test_an_email_sent_twice_has_one_message_id(mail_server: MailServer, email_to: EmailTo) -> None:
    email = email_to(bob())
    deliver_due_emails()
    OutboxEmail.objects.update(state="WAITING")

    deliver_due_emails()

    assert {m["Message-ID"] for m in mail_server.arrived} == {f"<heist-email-{email.pk}@game.example>"}
    assert len(mail_server.arrived) == 2


def test_a_template_that_fails_delays_its_own_email_only(
    mail_server: MailServer, email_to: EmailTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = email_to(bob()), email_to(player("carol", email="carol@example.com"))
    compose = heist_mail.compose

    def fail(email: OutboxEmail, **kwargs: Any) -> Any:
        if email == broken:
            raise ValueError("a host's template")
        return compose(email, **kwargs)

    monkeypatch.setattr(outbox, "compose", fail)

    deliver_due_emails()

    broken.refresh_from_db()
    assert (broken.state, broken.last_error) == ("WAITING", "ValueError: a host's template")
    assert state_of(fine) == "SENT"


def test_the_preference_at_the_time_of_sending_counts(mail_server: MailServer, email_to: EmailTo) -> None:
    user = bob()
    muted, other = email_to(user), email_to(user, "TOKEN_EARNED", reason="STAFF", amount=1)
    EmailPreference.objects.create(player=user, muted_types=["SHIELD_EXPIRED"])

    tally = deliver_due_emails()

    assert (tally.skipped, tally.sent) == (1, 1)
    assert (state_of(muted), state_of(other)) == ("SKIPPED", "SENT")
    assert not is_marked_sent(muted)


def test_the_address_at_the_time_of_sending_counts(mail_server: MailServer, email_to: EmailTo) -> None:
    user, gone = bob(), player("carol", email="carol@example.com")
    email, skipped = email_to(user), email_to(gone)
    type(user).objects.filter(pk=user.pk).update(email="new@example.com")
    type(user).objects.filter(pk=gone.pk).update(email="")

    deliver_due_emails()

    assert [m["To"] for m in mail_server.arrived] == ["new@example.com"]
    assert (state_of(email), state_of(skipped)) == ("SENT", "SKIPPED")


def test_a_muted_player_still_has_the_notification(mail_server: MailServer, email_to: EmailTo, api: APIClient) -> None:
    user = bob()
    EmailPreference.objects.create(player=user, muted=True)
    email_to(user)

    deliver_due_emails()

    assert mail_server.arrived == []
    assert HeistNotification.objects.filter(user=user).count() == 1


def test_with_email_switched_off_no_email_is_written_or_sent(
    mail_server: MailServer, email_to: EmailTo, heist_settings: HeistSettings
) -> None:
    user, output = bob(), StringIO()
    email = email_to(user)
    heist_settings(EMAIL_ENABLED=False)

    with pytest.raises(OutboxEmail.DoesNotExist):
        email_to(user)
    deliver_due_emails()
    call_command("send_heist_emails", stdout=output)

    assert (mail_server.deliveries, state_of(email)) == (0, "WAITING")
    assert "switched off" in output.getvalue()


def test_a_backend_that_sends_nothing_is_a_failure(email_to: EmailTo, monkeypatch: pytest.MonkeyPatch) -> None:
    email = email_to(bob())
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", lambda self, messages: 0)

    deliver_due_emails()

    assert (state_of(email), is_marked_sent(email)) == ("WAITING", False)


def test_any_backend_sends_the_same_message(email_to: EmailTo) -> None:
    email = email_to(bob())

    deliver_emails([email.pk])

    [message] = mail.outbox
    assert message.to == ["bob@example.com"]
    assert message.body == heist_mail.compose(email, to="bob@example.com", economy=get_economy()).body


@pytest.mark.parametrize("number", [1, 10])
def test_an_email_costs_at_most_eight_statements(
    number: int, email_to: EmailTo, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    user = bob()
    for _ in range(number):
        email_to(user)

    # For each: renew, read, preference, on PostgreSQL the schema that the link is signed for, and two marks in a
    # transaction. A few for the batch.
    with django_assert_max_num_queries(number * 8 + 8):
        assert deliver_due_emails().sent == number


def test_an_email_deleted_with_its_player_while_it_is_sent_affects_no_other(
    mail_server: MailServer, email_to: EmailTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, fine = bob(), email_to(player("carol", email="carol@example.com"))
    email_to(user)
    OutboxEmail.objects.filter(pk=fine.pk).update(due_at=timezone.now())
    deliver = outbox.MailConnection.send
    deleted: list[Any] = []

    def deliver_and_delete(self: Any, message: Any) -> None:
        if not deleted:
            deleted.append(type(user).objects.exclude(username="carol").delete())
        deliver(self, message)

    monkeypatch.setattr(outbox.MailConnection, "send", deliver_and_delete)

    deliver_due_emails()

    assert state_of(fine) == "SENT"
