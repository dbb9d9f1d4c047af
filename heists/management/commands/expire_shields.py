from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.template.defaultfilters import pluralize

from heists.errors import Busy
from heists.management.options import require_at_least
from heists.services import expire_shields
from heists.services.shields import BATCH_SIZE

# Pauses while the database is not available, for instance during a fail-over.
PAUSES_SECONDS = (1, 2, 4, 8, 16)


class Command(BaseCommand):
    help = "Marks shields whose time is over and notifies their owners. Safe to run twice, or twice at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--batch", type=int, default=BATCH_SIZE, help="shields in one transaction (default: %(default)s)"
        )

    def handle(self, *args: Any, batch: int, **options: Any) -> None:
        require_at_least(1, batch=batch)
        total = self._expire(batch)
        self.stdout.write(f"{total} shield{pluralize(total)} expired.")

    def _expire(self, batch: int) -> int:
        """Expire shields that are due. Raises Busy where the database stays unavailable."""
        total = 0

        def count(marked: int) -> None:
            nonlocal total
            total += marked

        for pause in PAUSES_SECONDS:
            try:
                expire_shields(batch=batch, on_batch=count)
            except Busy as error:
                self.stderr.write(str(error))
                time.sleep(pause)
            else:
                return total
        expire_shields(batch=batch, on_batch=count)
        return total
