"""The row of each email and the tally, after each way an attempt can end, with a backend in the same process."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists import conf
from heists.emails import outbox
from heists.emails.outbox import Tally
from heists.models import EmailPreference, HeistNotification, OutboxEmail
from heists.services import deliver_due_emails, deliver_emails, send_again
from tests.conftest import HeistSettings
from tests.factories import player
from tests.heists.services.elsewhere import only

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MICRO, SECOND = dt.timedelta(microseconds=1), dt.timedelta(seconds=1)


class Backend:
    """An email backend that records, and raises what the test puts into `fails`."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.opened = self.closed = 0
        self.timeout: float | None = None

    def open(self) -> None:
        self.opened += 1
        if problem := self.fails.get("open"):
            raise problem

    def close(self) -> None:
        self.closed += 1
        if problem := self.fails.get("close"):
            raise problem

    def send_messages(self, messages: list[Any]) -> int:
        [message] = messages
        [address] = message.to
        if problem := self.fails.get(address):
            raise problem
        self.sent.append(address)
        return 1


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    made = Backend()
    monkeypatch.setattr(mail, "get_connection", lambda: made)
    monkeypatch.setattr(mail, "mailers", type("Mailers", (), {"default": made}), raising=False)
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return made


def email(name: str, **fields: Any) -> OutboxEmail:
    """Return an email to a new player, due now."""
    user = player(name, email=f"{name}@example.com")
    about = HeistNotification.objects.create(user=user, type="TOKEN_EARNED", message="-", created_at=NOW)
    return OutboxEmail.objects.create(notification=about, **({"due_at": NOW, "created_at": NOW} | fields))


def row(one: OutboxEmail) -> tuple[Any, ...]:
    one = OutboxEmail.objects.select_related("notification").get(pk=one.pk)
    assert (one.lease is None) == (one.leased_until is None)
    return one.state, one.attempts, one.due_at, one.last_error, one.lease


def sent_at(one: OutboxEmail) -> dt.datetime | None:
    about = HeistNotification.objects.get(pk=one.notification_id)
    assert about.email_sent == (about.email_sent_at is not None)
    return about.email_sent_at


def test_a_sent_email_is_marked_and_its_notification_has_the_time(backend: Backend) -> None:
    one = email("a", attempts=3, last_error="before")

    assert deliver_due_emails() == Tally(leased=1, sent=1)

    assert row(one) == ("SENT", 4, NOW, "", None)
    assert (sent_at(one), backend.sent, backend.opened, backend.closed) == (NOW, ["a@example.com"], 1, 1)


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({}, True),
        ({"due_at": NOW - SECOND}, True),
        ({"due_at": NOW + MICRO}, False),
        ({"lease": uuid.uuid4(), "leased_until": NOW}, True),
        ({"lease": uuid.uuid4(), "leased_until": NOW + MICRO}, False),
        ({"state": "SENT"}, False),
        ({"state": "SKIPPED"}, False),
        ({"state": "FAILED"}, False),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_only_what_is_due_and_free_is_sent(backend: Backend, fields: dict[str, Any], due: bool, named: bool) -> None:
    one = email("a", **fields)

    tally = deliver_emails([one.pk]) if named else deliver_due_emails()

    assert (tally.leased, tally.sent, len(backend.sent)) == (due, due, due)


def test_the_longest_due_are_sent_first_and_only_those_that_are_named(backend: Backend) -> None:
    late, first, second, other = email("late"), email("x", due_at=NOW - SECOND), email("b"), email("other")
    OutboxEmail.objects.filter(pk=late.pk).update(due_at=NOW)

    assert deliver_emails([second.pk, first.pk, late.pk]) == Tally(leased=3, sent=3)

    assert backend.sent == ["x@example.com", "late@example.com", "b@example.com"]
    assert row(other)[0] == "WAITING"
    assert deliver_emails([]) == Tally()


def test_batches_follow_until_nothing_is_due(backend: Backend) -> None:
    for number in range(5):
        email(f"p{number}")

    assert deliver_due_emails(batch=2) == Tally(leased=5, sent=5)

    assert (len(backend.sent), backend.opened, backend.closed) == (5, 3, 3)


def test_a_run_that_is_stopped_gives_the_rest_back(backend: Backend) -> None:
    emails, answers = [email(f"p{number}") for number in range(3)], iter([False, False, True, True])

    assert deliver_due_emails(stop=lambda: next(answers)) == Tally(leased=3, sent=1)

    assert [row(one)[0] for one in emails] == ["SENT", "WAITING", "WAITING"]
    assert all(row(one)[4] is None for one in emails)
    assert deliver_due_emails(stop=lambda: True) == Tally()


def test_an_email_of_a_player_without_address_or_wish_is_skipped(backend: Backend) -> None:
    silent, muted, typed = email("a"), email("b"), email("c")
    type(silent.notification.user).objects.filter(username="a").update(email="")
    EmailPreference.objects.create(player=muted.notification.user, muted=True)
    EmailPreference.objects.create(player=typed.notification.user, muted_types=["TOKEN_EARNED"])

    assert deliver_due_emails() == Tally(leased=3, skipped=3)

    for one in (silent, muted, typed):
        assert (row(one), sent_at(one)) == (("SKIPPED", 0, NOW, "", None), None)
    assert backend.opened == 0


@pytest.mark.parametrize(
    ("attempts", "wait"), [(0, 30), (1, 60), (6, 1920), (7, 3600), (29, 3600), (30, 3600), (500, 3600)]
)
def test_an_email_that_fails_waits_longer_each_time(
    backend: Backend, heist_settings: HeistSettings, caplog: Any, attempts: int, wait: int
) -> None:
    heist_settings(EMAIL_MAX_ATTEMPTS=1000)
    one, other = email("a", attempts=attempts), email("b")
    backend.fails["a@example.com"] = RuntimeError("no \x00 way")

    assert deliver_due_emails() == Tally(leased=2, sent=1, failed=1)

    reason = "RuntimeError: no  way"
    assert row(one) == ("WAITING", attempts + 1, NOW + wait * SECOND, reason, None)
    assert (sent_at(one), row(other)[0], backend.opened, backend.closed) == (None, "SENT", 2, 2)
    assert caplog.messages == [f"email {one.pk} was not sent (attempt {attempts + 1}): {reason}"]


@pytest.mark.parametrize(("attempts", "state"), [(0, "WAITING"), (1, "WAITING"), (2, "FAILED"), (3, "FAILED")])
def test_an_email_is_given_up_after_the_most_attempts(
    backend: Backend, heist_settings: HeistSettings, attempts: int, state: str
) -> None:
    heist_settings(EMAIL_MAX_ATTEMPTS=3)
    one = email("a", attempts=attempts)
    backend.fails["a@example.com"] = RuntimeError("no")

    tally = deliver_due_emails()

    given_up = state == "FAILED"
    assert tally == Tally(leased=1, failed=not given_up, given_up=given_up)
    assert row(one)[:2] == (state, attempts + 1)


def test_an_unreachable_server_ends_the_run_and_counts_no_attempt(backend: Backend, caplog: Any) -> None:
    emails = [email(name) for name in "abc"]
    backend.fails["open"], backend.fails["close"] = OSError("no route"), OSError("not open")

    assert deliver_due_emails(batch=2) == Tally(leased=2, unreachable="OSError: no route")

    assert [row(one) for one in emails[:2]] == [("WAITING", 0, NOW, "OSError: no route", None)] * 2
    assert row(emails[2]) == ("WAITING", 0, NOW, "", None)
    assert (backend.opened, backend.closed) == (1, 1)
    assert caplog.messages == ["the mail server is unreachable, emails wait: OSError: no route"]


@pytest.mark.parametrize(("own", "used"), [(None, 30), (5.0, 5.0)])
def test_a_backend_without_a_timeout_gets_one(backend: Backend, own: float | None, used: float) -> None:
    backend.timeout = own
    email("a")

    deliver_due_emails()

    assert backend.timeout == used


def test_a_worker_leases_for_the_time_of_the_setting_again_for_each_email(
    backend: Backend, heist_settings: HeistSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heist_settings(EMAIL_LEASE_SECONDS=60)
    first, second = email("a"), email("b")
    seen: list[Any] = []
    clock = iter(range(1000))
    start: dict[str, dt.datetime] = {}

    def later() -> dt.datetime:
        return NOW + 10 * next(clock) * SECOND

    def note(message: Any, **kwargs: Any) -> Any:
        start["at"] = timezone.now()
        emails = OutboxEmail.objects.using("default").order_by("pk")
        seen.append(list(emails.values_list("leased_until", flat=True)))
        raise RuntimeError

    monkeypatch.setattr(timezone, "now", later)
    monkeypatch.setattr(outbox, "compose", note)
    deliver_due_emails(stop=iter([False] * 3 + [True] * 9).__next__)

    minute = 60 * SECOND
    # Leased at 0 s, and the first again at 10 s; the second, after two more looks at the clock, again at 40 s.
    assert seen[0] == [NOW + 10 * SECOND + minute, NOW + minute]
    assert seen[1] == [None, NOW + 40 * SECOND + minute]
    assert (first.pk, second.pk) == tuple(OutboxEmail.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize("ends", ["SENT", "SKIPPED", "WAITING", "FAILED"])
def test_an_email_that_is_done_is_given_back_before_the_next_is_sent(
    backend: Backend, heist_settings: HeistSettings, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    heist_settings(EMAIL_MAX_ATTEMPTS=1 if ends == "FAILED" else 9)
    first, second = email("a"), email("b")
    if ends in ("WAITING", "FAILED"):
        backend.fails["a@example.com"] = RuntimeError("no")
    if ends == "SKIPPED":
        EmailPreference.objects.create(player=first.notification.user, muted=True)
    seen: list[Any] = []

    def note(messages: list[Any]) -> int:
        if messages[0].to == ["b@example.com"]:
            seen.extend(
                OutboxEmail.objects.using("default").filter(pk=first.pk).values_list("state", "lease", "leased_until")
            )
            seen.append(OutboxEmail.objects.using("default").exclude(lease=None).get().pk)
        return Backend.send_messages(backend, messages)

    monkeypatch.setattr(backend, "send_messages", note)
    deliver_due_emails(stop=iter([False] * 3 + [True] * 9).__next__)

    assert seen == [(ends, None, None), second.pk]


def test_an_email_that_another_worker_leases_meanwhile_is_its_own(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without row locks, on SQLite, both may read the same rows; the update decides."""
    taken, ours, theirs = email("a"), email("b"), uuid.uuid4()
    real, until = conf.email_lease, NOW + 9 * SECOND

    def lease() -> dt.timedelta:
        # Between the reading of the rows and their update.
        OutboxEmail.objects.filter(pk=taken.pk, lease=None).update(lease=theirs, leased_until=until)
        return real()

    monkeypatch.setattr(conf, "email_lease", lease)

    assert deliver_due_emails() == Tally(leased=1, sent=1)

    assert backend.sent == ["b@example.com"]
    assert (row(taken), row(ours)[0]) == (("WAITING", 0, NOW, "", theirs), "SENT")


def test_with_emails_off_nothing_is_leased(backend: Backend, heist_settings: HeistSettings) -> None:
    heist_settings(EMAIL_ENABLED=False)
    one = email("a")

    assert deliver_due_emails() == deliver_emails([one.pk]) == Tally()
    assert row(one)[0] == "WAITING"


@pytest.mark.parametrize("state", ["WAITING", "SENT", "SKIPPED", "FAILED"])
def test_an_email_sent_again_is_as_new(backend: Backend, state: str) -> None:
    one = email("a", state=state, attempts=5, due_at=NOW - SECOND, lease=uuid.uuid4(), leased_until=NOW)
    other = email("b", state="SENT")
    for sent in (one, other):
        HeistNotification.objects.filter(pk=sent.notification_id).update(email_sent=True, email_sent_at=NOW)

    assert send_again(one) is True

    assert (row(one), sent_at(one)) == (("WAITING", 0, NOW, "", None), None)
    assert (row(other)[0], sent_at(other)) == ("SENT", NOW)


def test_a_held_email_is_not_sent_again(backend: Backend) -> None:
    one = email("a", lease=uuid.uuid4(), leased_until=NOW + MICRO, attempts=5)
    HeistNotification.objects.filter(pk=one.notification_id).update(email_sent=True, email_sent_at=NOW)

    assert send_again(one) is False

    assert (row(one)[1], sent_at(one)) == (5, NOW)


@pytest.mark.postgresql
def test_a_worker_locks_the_emails_that_it_leases_and_waits_for_none(backend: Backend) -> None:
    email("a")

    with CaptureQueriesContext(connection) as statements:
        deliver_due_emails()

    locks = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert len(locks) == 2
    assert all(lock.endswith("LIMIT 50 FOR UPDATE SKIP LOCKED") for lock in locks)


def test_tallies_add_up() -> None:
    total = Tally(1, 2, 3, 4, 5, "before")

    total.add(Tally(10, 20, 30, 40, 50, "after"))

    assert total == Tally(11, 22, 33, 44, 55, "after")
    assert logging.getLogger("heists") is outbox.logger


def test_every_statement_goes_to_the_database_of_the_outbox(
    backend: Backend, settings: Any, heist_settings: HeistSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An unsubscribe link is signed for the database of the preferences.
    heist_settings(SITE_URL="")
    sent, failing, gone = email("a"), email("b"), email("c")
    backend.fails["b@example.com"] = RuntimeError("no")
    get_user_model().objects.filter(pk=gone.notification.user_id).update(email="")
    only(OutboxEmail, settings, monkeypatch)

    assert deliver_due_emails() == Tally(leased=3, sent=1, failed=1, skipped=1)
    assert send_again(sent) and send_again(failing)
    backend.fails["open"] = OSError("no route")
    assert deliver_emails([sent.pk, failing.pk]).unreachable


def test_a_fault_of_ours_is_no_unreachable_server(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    one = email("a")
    monkeypatch.setattr(outbox, "_send", mock.Mock(side_effect=KeyError("a bug")))

    with pytest.raises(KeyError):
        deliver_due_emails()

    # Given back, as before.
    assert row(one) == ("WAITING", 0, NOW, "", None)
