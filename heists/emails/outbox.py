"""Delivers outbox emails (docs/specification.md, "Notifications").

A worker leases due emails in a short transaction, sends them outside any transaction, and marks an email as sent only
while it still holds the lease. If a worker dies, its lease expires and another worker resends with the same
Message-ID: sent at least once, marked exactly once.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.core import mail
from django.db import DatabaseError, InterfaceError, router, transaction
from django.utils import timezone

from .. import conf
from ..choices import EmailState
from ..db.retry import is_temporary, retry_transient
from ..economy import Economy, get_economy
from ..models import EmailPreference, HeistNotification, OutboxEmail, OutboxEmailQuerySet
from .compose import compose

logger = logging.getLogger("heists")

# Emails that a worker leases at once; they share a connection to the mail server.
BATCH_SIZE = 50
# How long the mail server may take for one answer, where the host sets no EMAIL_TIMEOUT.
SMTP_TIMEOUT_SECONDS = 30
# The longest pause between two attempts, however often an email failed.
LONGEST_RETRY_SECONDS = 3600

Select = Callable[[OutboxEmailQuerySet], OutboxEmailQuerySet]


@dataclass(slots=True)
class Tally:
    """The result of a run: how many emails were leased, sent, skipped and so on.

    `failed` are retried later, `given_up` are not. `unreachable` is why the mail server was not reached, which ends a
    run; empty where it was.
    """

    leased: int = 0
    sent: int = 0
    skipped: int = 0
    failed: int = 0
    given_up: int = 0
    unreachable: str = ""

    def add(self, other: Tally) -> None:
        self.leased += other.leased
        self.sent += other.sent
        self.skipped += other.skipped
        self.failed += other.failed
        self.given_up += other.given_up
        self.unreachable = other.unreachable


class ServerUnreachable(Exception):
    """The mail server is unreachable or rejects the sign-in. Not counted as an attempt."""


def deliver_emails(ids: Collection[int]) -> Tally:
    """Send those of these emails that are due. A host's own queue calls it (`EMAIL_DELIVERY`).

    Safe to repeat, and to run beside `send_heist_emails`, which later sends what this did not. Raises Busy where the
    database stays unavailable.
    """
    return _deliver(lambda emails: emails.filter(pk__in=ids), len(ids), lambda: False)


def deliver_due_emails(*, batch: int = BATCH_SIZE, stop: Callable[[], bool] = lambda: False) -> Tally:
    """Send emails until none is due, the mail server is unreachable, or `stop` (called before each) returns True.

    Raises Busy where the database stays unavailable.
    """
    total = Tally()
    while not stop():
        tally = _deliver(lambda emails: emails, batch, stop)
        total.add(tally)
        if not tally.leased or tally.unreachable:
            break
    return total


@retry_transient
def send_again(email: OutboxEmail) -> bool:
    """Put an email back into the outbox as new, sent or not; return False where a worker holds it now.

    It keeps its Message-ID: a mailbox that still has the first copy may show one only.
    """
    using, now = router.db_for_write(OutboxEmail), timezone.now()
    with transaction.atomic(using=using):
        emails = OutboxEmail.objects.using(using).unleased(now).filter(pk=email.pk)
        updated = emails.update(state=EmailState.WAITING, due_at=now, attempts=0, lease=None, leased_until=None)
        if updated:
            HeistNotification.objects.using(using).filter(pk=email.notification_id).update(
                email_sent=False, email_sent_at=None
            )
    return bool(updated)


def _deliver(select: Select, batch: int, stop: Callable[[], bool]) -> Tally:
    tally = Tally()
    if not conf.email_enabled():
        return tally
    using, economy = router.db_for_write(OutboxEmail), get_economy()
    lease, pks = _lease(select, batch, using)
    if not pks:
        return tally
    tally.leased = len(pks)
    held = OutboxEmail.objects.using(using).filter(lease=lease)
    connection = MailConnection()
    try:
        for pk in pks:
            if stop():
                break
            _send(held.filter(pk=pk), connection, economy, tally, using)
    except ServerUnreachable as error:
        tally.unreachable = str(error)
        logger.warning("the mail server is unreachable, emails wait: %s", error)
        held.update(last_error=tally.unreachable)
    finally:
        connection.close()
        # Release what was not sent. Where the database failed, the lease expires instead.
        with suppress(DatabaseError, InterfaceError):
            held.update(lease=None, leased_until=None)
    return tally


@retry_transient
def _lease(select: Select, batch: int, using: str) -> tuple[uuid.UUID, list[int]]:
    """Lease due emails to this worker in a short transaction. Two workers never get the same one."""
    now, lease = timezone.now(), uuid.uuid4()
    emails = select(OutboxEmail.objects.using(using)).due(now)
    with transaction.atomic(using=using, durable=True):
        due = emails.order_by("due_at", "pk").select_for_update(skip_locked=True)
        pks = list(due.values_list("pk", flat=True)[:batch])
        # `emails` filters by due again, for databases without row locks.
        leased = emails.filter(pk__in=pks).update(lease=lease, leased_until=now + conf.email_lease())
    if leased != len(pks):
        ours = set(OutboxEmail.objects.using(using).filter(lease=lease).values_list("pk", flat=True))
        pks = [pk for pk in pks if pk in ours]
    return lease, pks


def _send(held: OutboxEmailQuerySet, connection: MailConnection, economy: Economy, tally: Tally, using: str) -> None:
    """Send one leased email and mark it. Raises ServerUnreachable, Busy, and errors of the database."""
    # Each email gets the whole lease, however long the ones before took. If it expired, another worker has the email.
    if not held.update(leased_until=timezone.now() + conf.email_lease()):
        return
    email = held.select_related("notification__user").first()
    if email is None:
        return
    try:
        address = _address(email, economy, using)
        if address:
            connection.send(compose(email, to=address, economy=economy))
    except ServerUnreachable:
        raise
    except Exception as error:
        if is_temporary(error):
            raise
        # A mail server, a host's template or its economy may raise anything: this email waits, the others go on.
        _mark_failed(email, error, held, tally)
        return
    if not address:
        tally.skipped += held.update(state=EmailState.SKIPPED, lease=None, leased_until=None)
        return
    tally.sent += _mark_sent(email, held, using)


@retry_transient
def _mark_sent(email: OutboxEmail, held: OutboxEmailQuerySet, using: str) -> int:
    """Mark a sent email and its notification; return 0 where the lease expired meanwhile."""
    with transaction.atomic(using=using, durable=True):
        marked = held.update(
            state=EmailState.SENT, attempts=email.attempts + 1, last_error="", lease=None, leased_until=None
        )
        if marked:
            HeistNotification.objects.using(using).filter(pk=email.notification_id).update(
                email_sent=True, email_sent_at=timezone.now()
            )
    return marked


def _address(email: OutboxEmail, economy: Economy, using: str) -> str:
    """Return the player's address at the time of sending; empty where the player does not want the email."""
    player = email.notification.user
    preference = EmailPreference.objects.using(using).for_player(player.pk)
    return economy.email(player) if preference.wants(email.notification.type) else ""


def _mark_failed(email: OutboxEmail, error: Exception, held: OutboxEmailQuerySet, tally: Tally) -> None:
    attempts = email.attempts + 1
    reason = f"{type(error).__name__}: {error}".replace("\x00", "")
    given_up = attempts >= conf.email_max_attempts()
    wait = min(conf.email_retry() * 2 ** (min(attempts, 30) - 1), dt.timedelta(seconds=LONGEST_RETRY_SECONDS))
    logger.warning("email %s was not sent (attempt %s): %s", email.pk, attempts, reason)
    marked = held.update(
        state=EmailState.FAILED if given_up else EmailState.WAITING,
        due_at=timezone.now() + wait,
        attempts=attempts,
        last_error=reason,
        lease=None,
        leased_until=None,
    )
    if given_up:
        tally.given_up += marked
    else:
        tally.failed += marked


class MailConnection:
    """One connection of the host's email backend, opened on first use and again after an error."""

    def __init__(self) -> None:
        self.backend: Any = None

    def send(self, message: mail.EmailMessage) -> None:
        """Send one message. Raises ServerUnreachable, or the backend's error about this message."""
        if self.backend is None:
            self.backend = self._open()
        try:
            if self.backend.send_messages([message]) == 0:
                raise RuntimeError("The email backend sent nothing.")
        except Exception:
            # The state of the connection is unknown, and the next message must not continue this one.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, in whatever state it is."""
        if self.backend is not None:
            with suppress(Exception):
                self.backend.close()
            self.backend = None

    def _open(self) -> Any:
        backend: Any = None
        try:
            # Django 6.1 replaces get_connection() by mailers.
            mailers = getattr(mail, "mailers", None)
            backend = mailers.default if mailers is not None else mail.get_connection()
            # Without a timeout, a server that does not answer would block the worker.
            if getattr(backend, "timeout", SMTP_TIMEOUT_SECONDS) is None:
                backend.timeout = SMTP_TIMEOUT_SECONDS
            backend.open()
        except Exception as error:
            with suppress(Exception):
                backend.close()
            raise ServerUnreachable(f"{type(error).__name__}: {error}") from error
        return backend
