"""`close_month`: the month's roll-over for everybody whom nobody locked (docs/specification.md, "Commands")."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.template.defaultfilters import pluralize
from tqdm import tqdm

from gamification import months, services
from heists.management.options import database_of, require_at_least


class Command(BaseCommand):
    help = "Keeps everybody's points of past months as standings. Safe to run twice, or twice at once, or to interrupt."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch", type=int, default=months.BATCH_SIZE, help="profiles in one transaction (default: %(default)s)"
        )
        parser.add_argument("--database", default=None, help="the database alias; by default where points are written")

    def handle(self, *args: Any, batch: int, database: str | None, **options: Any) -> None:
        require_at_least(1, batch=batch)
        using = database_of(database) if database else services.written_to()
        # On stderr, and silent without a terminal.
        with tqdm(unit=" profiles", disable=None, file=sys.stderr, leave=False) as bar:
            closed = months.close_month(using=using, batch=batch, on_batch=lambda one: bar.update(one.profiles))
        self.stdout.write(
            f"{closed.profiles} profile{pluralize(closed.profiles)} closed, "
            f"{closed.standings} standing{pluralize(closed.standings)} written."
        )
