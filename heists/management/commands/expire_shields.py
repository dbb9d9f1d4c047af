from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from heists.management.options import require_at_least
from heists.services import expire_shields


class Command(BaseCommand):
    help = "Marks shields whose time is over and notifies their owners. Safe to run twice, or twice at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=200, help=_("shields in one transaction (default: 200)"))

    def handle(self, *args: Any, batch: int, **options: Any) -> None:
        require_at_least(1, batch=batch)
        total = expire_shields(batch=batch)
        self.stdout.write(ngettext("%(n)s shield expired.", "%(n)s shields expired.", total) % {"n": total})
