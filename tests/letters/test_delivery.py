"""Letters over a real SMTP connection that works, refuses, drops or hangs."""

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

from heists import mail as heist_mail
from heists.economy import get_economy
from heists.models import HeistNotification, Letter, LetterPreference
from heists.services import deliver_due_letters, deliver_letters, letters, send_again
from tests.factories import player

from .conftest import is_marked_sent, state_of
from .mail_server import BUSY, DROP, HANG, OK

pytestmark = pytest.mark.django_db


def bob(**fields: Any) -> Any:
    return player("bob", email="bob@example.com", **fields)


def test_a_letter_arrives_and_is_marked_truthfully(mail_server, letter_to):
    letter = letter_to(bob())
    before = timezone.now()

    tally = deliver_due_letters()

    [arrived] = mail_server.arrived
    letter.refresh_from_db()
    assert arrived["To"] == "bob@example.com"
    assert (tally.sent, letter.state, letter.attempts, letter.lease, letter.last_error) == (1, "SENT", 1, None, "")
    notification = HeistNotification.objects.get()
    assert notification.email_sent
    assert before <= notification.email_sent_at <= timezone.now()


def test_many_letters_share_one_connection(mail_server, letter_to):
    user = bob()
    for _ in range(10):
        letter_to(user)

    deliver_due_letters(batch=10)

    assert (len(mail_server.arrived), mail_server.connections) == (10, 1)


def test_what_was_sent_is_not_sent_again(mail_server, letter_to):
    letter_to(bob())

    deliver_due_letters()
    assert deliver_due_letters().claimed == 0

    assert mail_server.deliveries == 1


@pytest.mark.parametrize(("answer", "reason"), [(BUSY, "451"), (DROP, "SMTPServerDisconnected"), (HANG, "timed out")])
def test_a_server_that_fails_only_delays_and_leaves_the_reason(mail_server, letter_to, settings, answer, reason):
    settings.EMAIL_TIMEOUT = 0.5
    mail_server.answer = lambda number, recipient: answer if number == 1 else OK
    first, second = letter_to(bob()), letter_to(player("carol", email="carol@example.com"))

    tally = deliver_due_letters()

    first.refresh_from_db()
    assert (tally.sent, tally.failed) == (1, 1)
    assert [first.state, first.attempts, state_of(second)] == ["WAITING", 1, "SENT"]
    assert reason in first.last_error
    assert not is_marked_sent(first)
    Letter.objects.update(due_at=timezone.now())
    assert deliver_due_letters().sent == 1
    assert is_marked_sent(first)
    assert [m["To"] for m in mail_server.arrived] == ["carol@example.com", "bob@example.com"]


def test_each_failure_doubles_the_wait_up_to_an_hour(mail_server, letter_to, monkeypatch, settings):
    settings.HEISTS = {**settings.HEISTS, "EMAIL_MAX_ATTEMPTS": 100}
    mail_server.answer = lambda number, recipient: BUSY
    letter, now, waits = letter_to(bob()), timezone.now(), []

    for _ in range(9):
        monkeypatch.setattr(timezone, "now", lambda: now)  # noqa: B023
        deliver_letters([letter.pk])
        letter.refresh_from_db()
        waits.append((letter.due_at - now).total_seconds())
        now = letter.due_at

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_letter_refused_too_often_is_given_up_and_staff_can_send_it_again(mail_server, letter_to, settings):
    settings.HEISTS = {**settings.HEISTS, "EMAIL_MAX_ATTEMPTS": 2}
    mail_server.answer = lambda number, recipient: BUSY if number <= 2 else OK
    letter = letter_to(bob())

    deliver_due_letters()
    Letter.objects.update(due_at=timezone.now())
    tally = deliver_due_letters()

    assert (tally.given_up, state_of(letter), is_marked_sent(letter)) == (1, "FAILED", False)
    assert deliver_due_letters().claimed == 0
    assert send_again(letter)
    assert deliver_due_letters().sent == 1
    assert (state_of(letter), is_marked_sent(letter)) == ("SENT", True)


def test_a_letter_that_was_sent_is_sent_again_when_staff_say_so(mail_server, letter_to):
    letter = letter_to(bob())
    deliver_due_letters()

    assert send_again(letter)

    assert (state_of(letter), is_marked_sent(letter)) == ("WAITING", False)
    assert deliver_due_letters().sent == 1
    assert (state_of(letter), is_marked_sent(letter)) == ("SENT", True)
    assert len(mail_server.arrived) == 2


def test_a_letter_that_a_worker_has_in_hand_is_not_put_back(letter_to):
    letter = letter_to(bob())
    Letter.objects.update(leased_until=timezone.now() + dt.timedelta(minutes=1))

    assert not send_again(letter)


def test_a_server_that_is_away_costs_no_letter_an_attempt(letter_to, settings, mail_server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = closed.getsockname()[1]
        letter = letter_to(bob())

        with pytest.raises(CommandError, match="out of reach"):
            call_command("send_heist_emails")

    letter.refresh_from_db()
    assert (letter.state, letter.attempts, letter.lease) == ("WAITING", 0, None)
    assert "refused" in letter.last_error
    settings.EMAIL_PORT = mail_server.port
    assert deliver_due_letters().sent == 1


def test_a_server_that_never_greets_is_out_of_reach_too(letter_to, settings, mail_server):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = silent.getsockname()[1], 0.2
        letter_to(bob())

        assert "timed out" in deliver_due_letters().unreachable


def test_a_server_gets_a_time_limit_where_the_host_set_none(mail_server, settings):
    settings.EMAIL_TIMEOUT = None
    post = letters.PostOffice()

    connection = post._open()

    assert connection.timeout == letters.TIMEOUT
    connection.close()


def test_the_letter_of_a_dead_worker_goes_out_when_its_lease_is_over(mail_server, letter_to):
    letter = letter_to(bob())
    over = timezone.now() + dt.timedelta(seconds=60)
    Letter.objects.update(lease=uuid.uuid4(), leased_until=over)
    assert deliver_due_letters().claimed == 0

    Letter.objects.update(leased_until=timezone.now())

    assert deliver_due_letters().sent == 1
    assert is_marked_sent(letter)


def test_a_worker_that_lost_its_lease_marks_nothing(mail_server, letter_to, monkeypatch):
    letter = letter_to(bob())
    deliver = letters.PostOffice.deliver

    def deliver_and_lose(self, message):
        deliver(self, message)
        Letter.objects.update(lease=uuid.uuid4())

    monkeypatch.setattr(letters.PostOffice, "deliver", deliver_and_lose)

    tally = deliver_due_letters()

    assert (tally.sent, state_of(letter), is_marked_sent(letter)) == (0, "WAITING", False)


def test_a_letter_sent_twice_has_one_message_id(mail_server, letter_to):
    letter = letter_to(bob())
    deliver_due_letters()
    Letter.objects.update(state="WAITING")

    deliver_due_letters()

    assert {m["Message-ID"] for m in mail_server.arrived} == {f"<heist-letter-{letter.pk}@game.example>"}
    assert len(mail_server.arrived) == 2


def test_a_template_that_fails_delays_its_own_letter_only(mail_server, letter_to, monkeypatch):
    broken, fine = letter_to(bob()), letter_to(player("carol", email="carol@example.com"))
    compose = heist_mail.compose

    def fail(letter, **kwargs):
        if letter == broken:
            raise ValueError("a host's template")
        return compose(letter, **kwargs)

    monkeypatch.setattr(letters, "compose", fail)

    deliver_due_letters()

    broken.refresh_from_db()
    assert (broken.state, broken.last_error) == ("WAITING", "ValueError: a host's template")
    assert state_of(fine) == "SENT"


def test_the_wish_of_the_last_moment_counts(mail_server, letter_to):
    user = bob()
    muted, other = letter_to(user), letter_to(user, "TOKEN_EARNED", reason="STAFF", amount=1)
    LetterPreference.objects.create(user=user, muted_types=["SHIELD_EXPIRED"])

    tally = deliver_due_letters()

    assert (tally.skipped, tally.sent) == (1, 1)
    assert (state_of(muted), state_of(other)) == ("SKIPPED", "SENT")
    assert not is_marked_sent(muted)


def test_the_address_of_the_last_moment_counts(mail_server, letter_to):
    user, gone = bob(), player("carol", email="carol@example.com")
    letter, skipped = letter_to(user), letter_to(gone)
    type(user).objects.filter(pk=user.pk).update(email="new@example.com")
    type(user).objects.filter(pk=gone.pk).update(email="")

    deliver_due_letters()

    assert [m["To"] for m in mail_server.arrived] == ["new@example.com"]
    assert (state_of(letter), state_of(skipped)) == ("SENT", "SKIPPED")


def test_the_feed_keeps_what_no_letter_tells(mail_server, letter_to, api):
    user = bob()
    LetterPreference.objects.create(user=user, muted=True)
    letter_to(user)

    deliver_due_letters()

    assert mail_server.arrived == []
    assert HeistNotification.objects.filter(user=user).count() == 1


def test_without_e_mail_no_letter_is_written_and_none_leaves(mail_server, letter_to, settings):
    user, said = bob(), StringIO()
    letter = letter_to(user)
    settings.HEISTS = {**settings.HEISTS, "EMAIL_ENABLED": False}

    with pytest.raises(Letter.DoesNotExist):
        letter_to(user)
    deliver_due_letters()
    call_command("send_heist_emails", stdout=said)

    assert (mail_server.deliveries, state_of(letter)) == (0, "WAITING")
    assert "switched off" in said.getvalue()


def test_a_backend_that_sends_nothing_is_a_failure(letter_to, monkeypatch):
    letter = letter_to(bob())
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", lambda self, messages: 0)

    deliver_due_letters()

    assert (state_of(letter), is_marked_sent(letter)) == ("WAITING", False)


def test_any_backend_will_do_and_the_letter_is_the_same(letter_to):
    letter = letter_to(bob())

    deliver_letters([letter.pk])

    [message] = mail.outbox
    assert message.to == ["bob@example.com"]
    assert message.body == heist_mail.compose(letter, to="bob@example.com", economy=get_economy()).body


def test_the_statements_a_letter_costs_are_few(letter_to, django_assert_max_num_queries):
    user = bob()
    for _ in range(10):
        letter_to(user)

    # For each: renew, read, preference, and the mark's two in a transaction; and a few for the batch.
    with django_assert_max_num_queries(10 * 7 + 8):
        deliver_due_letters()


def test_a_letter_that_goes_with_its_player_disturbs_nobody(mail_server, letter_to, monkeypatch):
    user, fine = bob(), letter_to(player("carol", email="carol@example.com"))
    letter_to(user)
    Letter.objects.filter(pk=fine.pk).update(due_at=timezone.now())
    deliver, deleted = letters.PostOffice.deliver, []

    def deliver_and_delete(self, message):
        if not deleted:
            deleted.append(type(user).objects.exclude(username="carol").delete())
        deliver(self, message)

    monkeypatch.setattr(letters.PostOffice, "deliver", deliver_and_delete)

    deliver_due_letters()

    assert state_of(fine) == "SENT"
