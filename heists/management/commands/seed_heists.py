"""`seed_heists`: the point event types, or a whole demo world (spec section 8)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from heists.demo import people
from heists.errors import DemoError
from heists.services import demo
from heists.services.event_types import seed_event_types


class Command(BaseCommand):
    help = "Adds heists' two point event types; with --demo, builds a lively demo world."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="build invented players and their heists")
        parser.add_argument(
            "--players", type=int, help=f"how many; the default grows with --heists from {demo.PLAYERS}"
        )
        parser.add_argument("--heists", type=int, default=demo.HEISTS, help="how many attempts (default: %(default)s)")
        parser.add_argument("--seed", type=int, default=1, help="another number, another world (default: %(default)s)")
        parser.add_argument("--force", action="store_true", help="also in a database that has players")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["demo"]:
            self._event_types()
            return
        heists = options["heists"]
        players = options["players"] or max(demo.PLAYERS, heists // 10)
        try:
            # Silent without a terminal, and never in the way of what is piped.
            with tqdm(total=heists, unit=" heists", disable=None, file=sys.stderr, leave=False) as bar:
                built = demo.seed_demo(
                    players=players, heists=heists, seed=options["seed"], force=options["force"], progress=bar.update
                )
        except DemoError as failure:
            raise CommandError(str(failure)) from failure
        sign_ins = (
            f"Sign in as alice, or as staff member {people.STAFF}, with the password {people.PASSWORD}."
            if built.known_passwords
            else "Nobody of them can sign in: known passwords are made only while DEBUG is on."
        )
        self.stdout.write(
            f"Built {built.players} players with {built.heists} heists and {built.notifications} notifications "
            f"over {built.days} days. {sign_ins}"
        )

    def _event_types(self) -> None:
        added = seed_event_types()
        if added is None:
            self.stdout.write("HEISTS names no POINT_EVENT_TYPE_MODEL: this site keeps no point event types to add to.")
            return
        for name, is_new in added.items():
            self.stdout.write(f"{name}: {'added' if is_new else 'there already'}")
