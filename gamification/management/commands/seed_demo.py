"""`seed_demo`: builds the demo world (docs/specification.md, "Commands")."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from gamification.demo import build, players


class Command(BaseCommand):
    help = "Builds a demo world: invented players and their heists."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--players", type=int, help=f"default: {build.DEFAULT_PLAYERS}, or a tenth of --heists if that is more"
        )
        parser.add_argument("--heists", type=int, default=build.DEFAULT_HEISTS, help="default: %(default)s")
        parser.add_argument("--seed", type=int, default=1, help="of the random numbers (default: %(default)s)")
        parser.add_argument("--force", action="store_true", help="also in a database that has players")

    def handle(self, *args: Any, **options: Any) -> None:
        heists = options["heists"]
        player_count = options["players"]
        if player_count is None:
            player_count = max(build.DEFAULT_PLAYERS, heists // 10)
        try:
            # On stderr, and silent without a terminal.
            with tqdm(total=heists, unit=" heists", disable=None, file=sys.stderr, leave=False) as bar:
                built = build.seed_demo(
                    players=player_count,
                    heists=heists,
                    seed=options["seed"],
                    force=options["force"],
                    progress=bar.update,
                )
        except build.DemoError as error:
            raise CommandError(str(error)) from error
        staff = f"{players.STAFF}, {players.SUPPORT} or {players.MANAGER}"
        sign_in = (
            f"Sign in as {players.SIGN_IN}, or as {staff} in the admin, with the password {players.PASSWORD}."
            if settings.DEBUG
            else "None of them has a password: known passwords are set only while DEBUG is on."
        )
        self.stdout.write(
            f"Built {built.players} players with {built.heists} heists and {built.notifications} notifications "
            f"over {built.days} days. {sign_in}"
        )
