from __future__ import annotations

import logging
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.template.defaultfilters import pluralize

from heists import conf
from heists.db.retry import close_if_unusable, is_temporary
from heists.emails.outbox import BATCH_SIZE, Tally
from heists.errors import Busy
from heists.management.options import require_at_least
from heists.services import deliver_due_emails

logger = logging.getLogger("heists")

# Between two passes of a worker.
PAUSE_SECONDS = 5.0
# The longest pause while the database or the mail server is not available.
LONGEST_PAUSE_SECONDS = 60
# How often a pause looks for a signal to stop.
STOP_CHECK_SECONDS = 0.2


class Command(BaseCommand):
    help = "Sends the emails that are due: one pass for cron, or --loop for a worker. Several may run at once."

    stopping = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loop", action="store_true", help="run until SIGTERM or SIGINT")
        parser.add_argument("--pause", type=float, help="with --loop: seconds between two passes (default: 5)")
        parser.add_argument(
            "--batch", type=int, default=BATCH_SIZE, help="emails leased at once (default: %(default)s)"
        )

    def handle(self, *args: Any, loop: bool, pause: float | None, batch: int, **options: Any) -> None:
        require_at_least(1, batch=batch)
        if pause is not None:
            require_at_least(0, pause=pause)
            if not loop:
                raise CommandError("--pause is only for --loop.")
        if not conf.email_enabled():
            self.stdout.write("Email is switched off (HEISTS['EMAIL_ENABLED']); nothing was sent.")
            return
        total = (
            self._loop(PAUSE_SECONDS if pause is None else pause, batch) if loop else deliver_due_emails(batch=batch)
        )
        self.stdout.write(
            f"{total.sent} email{pluralize(total.sent)} sent, {total.skipped} not wanted, "
            f"{total.failed} to be retried, {total.given_up} given up."
        )
        if total.unreachable and not loop:
            raise CommandError(f"The mail server is unreachable, emails wait: {total.unreachable}")

    def _loop(self, pause: float, batch: int) -> Tally:
        """Make passes until a signal arrives; the email being sent is finished, and no other is started."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        total, wait = Tally(), pause
        try:
            while not self.stopping:
                # Closes a connection that broke in the last pass, or is older than CONN_MAX_AGE.
                close_old_connections()
                try:
                    tally = deliver_due_emails(batch=batch, stop=lambda: self.stopping)
                except (Busy, DatabaseError, InterfaceError) as error:
                    if not isinstance(error, Busy) and not is_temporary(error):
                        raise
                    close_if_unusable(error)
                    logger.warning("the database is unavailable, emails wait: %s", error)
                    unavailable = True
                else:
                    total.add(tally)
                    unavailable = bool(tally.unreachable)
                # Doubled each time, so that a server that is starting is not overloaded.
                wait = min(max(wait, 1) * 2, LONGEST_PAUSE_SECONDS) if unavailable else pause
                self._pause(wait)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return total

    def _stop(self, number: int, frame: Any) -> None:
        self.stopping = True
        # A second signal ends the process at once; its leases expire.
        signal.signal(number, signal.SIG_DFL)

    def _pause(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not self.stopping and (left := ends - time.monotonic()) > 0:
            time.sleep(min(STOP_CHECK_SECONDS, left))
