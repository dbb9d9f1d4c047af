"""The worker stops on a signal, and continues after the database or the mail server was down."""

from __future__ import annotations

import os
import signal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections

from heists.emails import outbox
from heists.emails.outbox import Tally
from heists.management.commands import send_heist_emails
from heists.models import OutboxEmail
from tests.factories import player
from tests.heists.conftest import EmailTo, is_marked_sent, state_of
from tests.heists.mail_server import BUSY, OK, MailServer

Command = send_heist_emails.Command


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses instead of waiting, and send SIGTERM in the third."""
    seconds_asked: list[float] = []

    def pause(self: Any, seconds: float) -> None:
        seconds_asked.append(seconds)
        if len(seconds_asked) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Command, "_pause", pause)
    return seconds_asked


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the connection whose transaction the test runs in."""
    monkeypatch.setattr(send_heist_emails, "close_old_connections", lambda: None)


def run(**options: Any) -> str:
    output = StringIO()
    call_command("send_heist_emails", stdout=output, **options)
    return output.getvalue()


@pytest.mark.django_db
def test_one_pass_reports_the_result_of_each_email(mail_server: MailServer, email_to: EmailTo) -> None:
    mail_server.answer = lambda number, recipient: BUSY if recipient.startswith("carol") else OK
    for name, address in (("alice", "alice@example.com"), ("bob", "bob@example.com"), ("carol", "carol@example.com")):
        email_to(player(name, email=address))

    assert run(batch=2) == "2 emails sent, 0 not wanted, 1 to be retried, 0 given up.\n"


@pytest.mark.django_db
def test_a_worker_stops_cleanly_on_sigterm_and_leaves_the_signals_as_they_were(
    email_to: EmailTo, pauses: Any, one_connection: Any
) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    email_to(player("bob", email="bob@example.com"))

    assert run(loop=True).startswith("1 email sent")

    assert len(pauses) == 3
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.django_db
def test_a_worker_that_gets_sigterm_finishes_its_email_and_releases_the_others(
    email_to: EmailTo, monkeypatch: pytest.MonkeyPatch, one_connection: Any, pauses: Any
) -> None:
    user = player("bob", email="bob@example.com")
    for _ in range(5):
        email_to(user)
    deliver = outbox.MailConnection.send

    def deliver_and_stop(self: Any, message: Any) -> None:
        deliver(self, message)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(outbox.MailConnection, "send", deliver_and_stop)

    assert run(loop=True).startswith("1 email sent")

    assert OutboxEmail.objects.filter(state="SENT").count() == 1
    assert OutboxEmail.objects.filter(state="WAITING", lease=None, leased_until=None).count() == 4


def test_a_worker_continues_after_the_database_was_down(
    monkeypatch: pytest.MonkeyPatch, pauses: Any, one_connection: Any
) -> None:
    away = OperationalError("gone")
    away.__cause__ = psycopg.OperationalError("gone")
    tallies: list[Any] = [away, away, Tally(sent=4)]

    def deliver(**options: Any) -> Any:
        found = tallies.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(send_heist_emails, "deliver_due_emails", deliver)

    assert run(loop=True, pause=5).startswith("4 emails sent")

    assert pauses == [10, 20, 5]


def test_a_worker_continues_after_the_mail_server_was_down(
    monkeypatch: pytest.MonkeyPatch, pauses: Any, one_connection: Any
) -> None:
    monkeypatch.setattr(send_heist_emails, "deliver_due_emails", lambda **options: Tally(unreachable="gone"))

    run(loop=True, pause=40)

    assert pauses == [60, 60, 60]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_killed_between_sending_and_marking_is_replaced(
    mail_server: MailServer, email_to: EmailTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = email_to(player("bob", email="bob@example.com"))
    deliver = outbox.MailConnection.send
    killed: list[int] = []

    def deliver_and_kill(self: Any, message: Any) -> None:
        deliver(self, message)
        if not killed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                killed.append(cursor.fetchone()[0])
            other = connections.create_connection("default")
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", killed)
            other.close()

    monkeypatch.setattr(outbox.MailConnection, "send", deliver_and_kill)

    output = run()

    assert output.startswith("1 email sent") and len(killed) == 1
    assert (state_of(email), is_marked_sent(email)) == ("SENT", True)
    # Marked on another connection, and not sent again.
    assert len(mail_server.arrived) == 1
