from __future__ import annotations

import logging
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils.translation import gettext as _

from heists import conf
from heists.services import deliver_due_letters
from heists.services.letters import Tally

logger = logging.getLogger("heists")

# Seconds between two tries of a database or a mail server that is away.
LONGEST_PAUSE = 60
# Seconds after which a pause notices that it should end.
GLANCE = 0.2


class Command(BaseCommand):
    help = "Send the letters that are due: one pass for cron, or --loop for a worker. Several may run at once."

    stopping = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loop", action="store_true", help=_("go on until SIGTERM or SIGINT"))
        parser.add_argument("--pause", type=float, default=5, help=_("seconds between two passes (default: 5)"))
        parser.add_argument("--batch", type=int, default=50, help=_("letters a worker claims at once (default: 50)"))

    def handle(self, *args: Any, loop: bool, pause: float, batch: int, **options: Any) -> None:
        if not conf.email_enabled():
            self.stdout.write(_("E-mail is switched off (HEISTS[%r]); nothing was sent.") % "EMAIL_ENABLED")
            return
        batch = max(1, batch)
        if loop:
            total = self._loop(pause, batch)
        else:
            total = deliver_due_letters(batch=batch)
        self.stdout.write(
            _("%(sent)s letters sent, %(skipped)s not wanted, %(failed)s to be tried again, %(given_up)s given up.")
            % {"sent": total.sent, "skipped": total.skipped, "failed": total.failed, "given_up": total.given_up}
        )
        if total.unreachable and not loop:
            raise CommandError(_("The mail server is out of reach, letters wait: %s") % total.unreachable)

    def _loop(self, pause: float, batch: int) -> Tally:
        """Make one pass after the other until a signal says stop; then the letter at hand is finished, no other begun."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        total, wait = Tally(), pause
        try:
            while not self.stopping:
                # Drops a connection that broke in the last pass, or grew too old.
                close_old_connections()
                try:
                    tally = deliver_due_letters(batch=batch, stop=lambda: self.stopping)
                except (OperationalError, InterfaceError) as error:
                    logger.warning("The database is out of reach, letters wait: %s", error)
                    away = True
                else:
                    total.add(tally)
                    away = bool(tally.unreachable)
                # Twice as long each time, so that nobody who is coming up again is trampled.
                wait = min(max(wait, 1) * 2, LONGEST_PAUSE) if away else pause
                self._rest(wait)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return total

    def _stop(self, number: int, frame: Any) -> None:
        self.stopping = True
        # A second signal ends it at once; the leases run out by themselves.
        signal.signal(number, signal.SIG_DFL)

    def _rest(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not self.stopping and (left := ends - time.monotonic()) > 0:
            time.sleep(min(GLANCE, left))
