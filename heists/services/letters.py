"""Letters leave the outbox: claimed for a while, sent outside any transaction, marked where the lease still holds.

A worker that dies leaves a lease that runs out; the next worker sends the letter again, with the same Message-ID. So
each letter is sent at least once and marked exactly once (spec section 5).
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
from django.db import DatabaseError, InterfaceError, OperationalError, router, transaction
from django.db.models import Q
from django.utils import timezone

from .. import conf
from ..choices import LetterState
from ..economy import Economy, get_economy
from ..mail import compose
from ..models import HeistNotification, Letter, LetterPreference, LetterQuerySet

logger = logging.getLogger("heists")

# Letters a worker claims at once; they share a connection to the mail server.
BATCH = 50
# Seconds a mail server may take over one answer, where the host's EMAIL_TIMEOUT does not say.
TIMEOUT = 30
# A letter is tried again within an hour, however often it failed.
LONGEST_RETRY_SECONDS = 3600


@dataclass(slots=True)
class Tally:
    """What became of the letters of one run."""

    claimed: int = 0
    sent: int = 0
    skipped: int = 0
    failed: int = 0  # to be tried again later
    given_up: int = 0
    unreachable: str = ""  # why the mail server could not be reached, which ends a run

    def add(self, other: Tally) -> None:
        self.claimed += other.claimed
        self.sent += other.sent
        self.skipped += other.skipped
        self.failed += other.failed
        self.given_up += other.given_up
        self.unreachable = other.unreachable


class Unreachable(Exception):
    """The mail server could not be reached or did not let us in: no fault of any letter."""


def deliver_letters(ids: Collection[int]) -> Tally:
    """Send these letters now, those of them that are due: what a host's own queue calls (`EMAIL_DELIVERY`).

    Harmless to repeat, and to run beside `send_heist_emails`, which later sends whatever this could not.
    """
    return _deliver(lambda letters: letters.filter(pk__in=ids), len(ids), lambda: False)


def deliver_due_letters(*, batch: int = BATCH, stop: Callable[[], bool] = lambda: False) -> Tally:
    """Send letters until none is due, the mail server is out of reach, or `stop` says so (asked before each letter)."""
    total = Tally()
    while not stop():
        tally = _deliver(lambda letters: letters, batch, stop)
        total.add(tally)
        if not tally.claimed or tally.unreachable:
            break
    return total


def send_again(letter: Letter) -> bool:
    """Put a letter back into the outbox, as if it were new, sent or not; False where a worker has it in hand just now.

    It keeps its Message-ID: a mailbox that still holds the first copy may show one only.
    """
    using, now = router.db_for_write(Letter), timezone.now()
    with transaction.atomic(using=using):
        idle = Letter.objects.using(using).filter(Q(leased_until=None) | Q(leased_until__lte=now), pk=letter.pk)
        back = idle.update(state=LetterState.WAITING, due_at=now, attempts=0, lease=None, leased_until=None)
        if back:
            HeistNotification.objects.using(using).filter(pk=letter.notification_id).update(
                email_sent=False, email_sent_at=None
            )
    return bool(back)


def _deliver(which: Callable[[LetterQuerySet], LetterQuerySet], batch: int, stop: Callable[[], bool]) -> Tally:
    tally = Tally()
    if not conf.email_enabled():
        return tally
    using = router.db_for_write(Letter)
    lease, pks = _claim(which, batch, using)
    if not pks:
        return tally
    tally.claimed = len(pks)
    held = Letter.objects.using(using).filter(lease=lease)
    post = PostOffice()
    try:
        for pk in pks:
            if stop():
                break
            _handle(held.filter(pk=pk), post, tally, using)
    except Unreachable as error:
        tally.unreachable = str(error)
        logger.warning("The mail server is out of reach, letters wait: %s", error)
        held.update(last_error=tally.unreachable)
    finally:
        post.close()
        # What was not sent is free for others at once. Where the database is what failed, the lease runs out instead.
        with suppress(DatabaseError, InterfaceError):
            held.update(lease=None, leased_until=None)
    return tally


def _claim(which: Callable[[LetterQuerySet], LetterQuerySet], batch: int, using: str) -> tuple[uuid.UUID, list[int]]:
    """Lease due letters to this worker, in a short transaction. Two workers never get the same one."""
    now, lease = timezone.now(), uuid.uuid4()
    letters = which(Letter.objects.using(using)).due(now)
    with transaction.atomic(using=using, durable=True):
        due = letters.order_by("due_at", "pk").select_for_update(skip_locked=True)
        pks = list(due.values_list("pk", flat=True)[:batch])
        # Asked once more for databases without row locks; then only the letters with this lease are ours.
        claimed = letters.filter(pk__in=pks).update(lease=lease, leased_until=now + conf.email_lease())
    if claimed != len(pks):
        ours = set(Letter.objects.using(using).filter(lease=lease).values_list("pk", flat=True))
        pks = [pk for pk in pks if pk in ours]
    return lease, pks


def _handle(held: LetterQuerySet, post: PostOffice, tally: Tally, using: str) -> None:
    """Send one claimed letter and mark it. Raises Unreachable, and what the database raises."""
    # Each letter gets the whole lease, however long those before it took; where it ran out, the letter is another's.
    if not held.update(leased_until=timezone.now() + conf.email_lease()):
        return
    letter = held.select_related("notification__user").first()
    if letter is None:
        return
    try:
        economy = get_economy()
        address = _wanted_at(letter, economy, using)
        if address:
            post.deliver(compose(letter, to=address, economy=economy))
    except (OperationalError, InterfaceError, Unreachable):
        raise
    except Exception as error:
        # Whatever a mail server, a host's template or its economy raises: this letter waits, the others go on.
        _mark_failed(letter, error, held, tally)
        return
    if not address:
        tally.skipped += held.update(state=LetterState.SKIPPED, lease=None, leased_until=None)
        return
    with transaction.atomic(using=using, durable=True):
        marked = held.update(
            state=LetterState.SENT, attempts=letter.attempts + 1, last_error="", lease=None, leased_until=None
        )
        if marked:
            HeistNotification.objects.using(using).filter(pk=letter.notification_id).update(
                email_sent=True, email_sent_at=timezone.now()
            )
    tally.sent += marked


def _wanted_at(letter: Letter, economy: Economy, using: str) -> str:
    """Return where the letter goes, asked at the last moment; empty where the player does not want it."""
    player = letter.notification.user
    preference = LetterPreference.objects.using(using).filter(user=player.pk).first()
    if preference and not preference.wants(letter.notification.type):
        return ""
    return economy.email(player)


def _mark_failed(letter: Letter, error: Exception, held: LetterQuerySet, tally: Tally) -> None:
    attempts = letter.attempts + 1
    reason = f"{type(error).__name__}: {error}".replace("\x00", "")
    given_up = attempts >= conf.email_max_attempts()
    wait = min(conf.email_retry() * 2 ** (min(attempts, 30) - 1), dt.timedelta(seconds=LONGEST_RETRY_SECONDS))
    logger.warning("letter %s was not sent (attempt %s): %s", letter.pk, attempts, reason)
    marked = held.update(
        state=LetterState.FAILED if given_up else LetterState.WAITING,
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


class PostOffice:
    """One connection of the host's e-mail backend, opened when it is needed and again after each failure."""

    def __init__(self) -> None:
        self.connection: Any = None

    def deliver(self, message: mail.EmailMessage) -> None:
        """Hand over one message. Raises Unreachable, or whatever the backend raises about this message."""
        if self.connection is None:
            self.connection = self._open()
        try:
            if self.connection.send_messages([message]) == 0:
                raise RuntimeError("The e-mail backend sent nothing.")
        except Exception:
            # Its state is unknown: what is left of this letter must not get into the next one.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        if self.connection is not None:
            with suppress(Exception):
                self.connection.close()
            self.connection = None

    def _open(self) -> Any:
        connection: Any = None
        try:
            # Django 6.1 replaces get_connection() by mailers.
            mailers = getattr(mail, "mailers", None)
            connection = mailers.default if mailers is not None else mail.get_connection()
            # Without a limit, a server that hangs would hold the worker for ever.
            if getattr(connection, "timeout", TIMEOUT) is None:
                connection.timeout = TIMEOUT
            connection.open()
        except Exception as error:
            with suppress(Exception):
                connection.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        return connection
