"""The worker stops on a signal, and continues after the database or the mail server was down."""

from __future__ import annotations

import os
import signal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, connections

from heists.emails import outbox
from heists.emails.outbox import Tally
from heists.errors import Busy
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


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Tallies of the next passes, or errors that they raise."""
    results: list[Any] = []

    def deliver(*, batch: int, **options: Any) -> Tally:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        tally: Tally = result(batch) if callable(result) else result
        return tally

    monkeypatch.setattr(send_heist_emails, "deliver_due_emails", deliver)
    return results


def test_each_number_of_the_tally_has_its_place(passes: list[Any]) -> None:
    passes.append(Tally(sent=1, skipped=2, failed=3, given_up=4))

    assert run() == "1 email sent, 2 not wanted, 3 to be retried, 4 given up.\n"


def test_one_pass_fails_where_the_mail_server_is_unreachable(passes: list[Any]) -> None:
    passes.append(Tally(sent=1, unreachable="refused"))

    with pytest.raises(CommandError, match=r"^The mail server is unreachable, emails wait: refused$"):
        run()


def test_nothing_is_sent_while_emails_are_switched_off(passes: list[Any], settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "EMAIL_ENABLED": False}

    assert run() == "Email is switched off (HEISTS['EMAIL_ENABLED']); nothing was sent.\n"
    assert run(loop=True).startswith("Email is switched off")


@pytest.mark.parametrize("loop", [False, True])
def test_the_batch_is_that_of_the_option(passes: list[Any], pauses: Any, one_connection: Any, loop: bool) -> None:
    batches: list[int] = []

    def deliver(batch: int) -> Tally:
        batches.append(batch)
        return Tally()

    passes += [deliver] * 3

    run(loop=loop, batch=7)

    assert set(batches) == {7}


@pytest.mark.parametrize(("pause", "waits"), [(None, 5.0), (0.0, 0.0), (0.5, 0.5), (9.0, 9.0)])
def test_a_worker_waits_as_long_as_it_is_told(
    passes: list[Any], pauses: list[float], one_connection: Any, pause: float | None, waits: float
) -> None:
    passes += [Tally()] * 3

    run(loop=True, pause=pause)

    assert pauses == [waits] * 3


@pytest.mark.parametrize(
    ("pause", "results", "waits"),
    [
        (0.0, [Busy(), Busy(), Busy()], [2, 4, 8]),
        (5.0, [Tally(unreachable="refused"), Busy(), Tally()], [10, 20, 5]),
        (40.0, [Busy(), Busy(), Busy()], [60, 60, 60]),
        (5.0, [Busy(), Tally(), Busy()], [10, 5, 10]),
    ],
    ids=["doubled from one second", "of the mail server", "a minute at most", "from the beginning again"],
)
def test_pauses_grow_while_something_is_unavailable(
    passes: list[Any],
    pauses: list[float],
    one_connection: Any,
    pause: float,
    results: list[Any],
    waits: list[float],
) -> None:
    passes += results

    run(loop=True, pause=pause)

    assert pauses == waits


def test_an_unreachable_server_does_not_end_a_worker_with_an_error(
    passes: list[Any], pauses: Any, one_connection: Any
) -> None:
    passes += [Tally(sent=1, unreachable="refused")] * 3

    assert run(loop=True).startswith("3 emails sent")


def test_an_error_that_no_pause_mends_ends_the_worker(passes: list[Any], pauses: Any, one_connection: Any) -> None:
    passes.append(ProgrammingError("no such table"))

    with pytest.raises(ProgrammingError):
        run(loop=True)


def test_each_pass_begins_without_broken_connections(
    passes: list[Any], pauses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(send_heist_emails, "close_old_connections", lambda: closed.append(len(passes)))
    passes += [Tally()] * 3

    run(loop=True)

    assert closed == [3, 2, 1]


def test_a_second_signal_ends_the_process_at_once(passes: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Any] = []

    def pause(self: Any, seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        handlers.append(signal.getsignal(signal.SIGTERM))

    monkeypatch.setattr(Command, "_pause", pause)
    monkeypatch.setattr(send_heist_emails, "close_old_connections", lambda: None)
    passes.append(Tally())

    run(loop=True)

    assert handlers == [signal.SIG_DFL]
