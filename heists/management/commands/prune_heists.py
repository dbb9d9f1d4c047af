from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize

from heists import conf
from heists.management.options import require_at_least
from heists.services import prune
from heists.services.retention import BATCH_SIZE


class Command(BaseCommand):
    help = "Deletes old notifications and sets the addresses on old heists to null. Safe to interrupt."

    def add_arguments(self, parser: CommandParser) -> None:
        for option, key, kept in (
            ("--read-days", "RETENTION_READ_DAYS", conf.retention_read()),
            ("--unread-days", "RETENTION_UNREAD_DAYS", conf.retention_unread()),
            ("--address-days", "RETENTION_ADDRESS_DAYS", conf.retention_address()),
        ):
            text = f"days; the default is HEISTS[{key!r}], now {kept.days}"
            parser.add_argument(option, type=int, default=kept.days, help=text)
        parser.add_argument(
            "--batch", type=int, default=BATCH_SIZE, help="rows in one transaction (default: %(default)s)"
        )
        parser.add_argument("--dry-run", action="store_true", help="count rows, and change nothing")

    def handle(
        self, *args: Any, read_days: int, unread_days: int, address_days: int, batch: int, dry_run: bool, **options: Any
    ) -> None:
        # 0 would delete what was just written; 36,600 days are a century.
        if not all(1 <= number <= 36_600 for number in (read_days, unread_days, address_days)):
            raise CommandError("Days are whole numbers from 1 to 36600.")
        require_at_least(1, batch=batch)
        pruned = prune(
            read=dt.timedelta(days=read_days),
            unread=dt.timedelta(days=unread_days),
            address=dt.timedelta(days=address_days),
            batch=batch,
            dry_run=dry_run,
        )
        rows = (
            f"{pruned.notifications} notification{pluralize(pruned.notifications)} and "
            f"{pruned.addresses} address{pluralize(pruned.addresses, 'es')}"
        )
        self.stdout.write(f"{rows} would be pruned; nothing was changed." if dry_run else f"{rows} pruned.")
