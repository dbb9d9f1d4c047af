"""`grant_tokens`: grants tokens to one player or to the players of a file (docs/specification.md, "Commands")."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router
from django.template.defaultfilters import pluralize

from heists.choices import GrantReason
from heists.errors import HeistError, InvalidGrant, UnknownPlayer
from heists.models import TokenGrant
from heists.services import grant_tokens, token_csv
from heists.services.token_csv import AmbiguousPlayer, InvalidFile, InvalidLine, Line
from heists.services.tokens import MAX_GRANT_TOKENS, validate_grant


class Command(BaseCommand):
    help = "Grants heist tokens to one player, or to every player of a CSV file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("player", nargs="?", help="the player's name or primary key")
        parser.add_argument("amount", nargs="?", type=int, help=f"how many tokens, 1 to {MAX_GRANT_TOKENS}")
        parser.add_argument(
            "--csv",
            metavar="FILE",
            help="a file whose first line names the columns player and amount, and optionally reason, source, note",
        )
        parser.add_argument(
            "--by",
            choices=[token_csv.BY_NAME, token_csv.BY_KEY],
            help="how players are named; without it, a text that is the name of one and the key of another is rejected",
        )
        reasons = [reason.value for reason in GrantReason.of_callers()]
        parser.add_argument("--reason", default=GrantReason.PROMOTION, choices=reasons)
        parser.add_argument(
            "--source",
            help="a key of your choice; the same key is granted once, so the command can be repeated; without one, the "
            "command makes up a new key each time and prints it",
        )
        parser.add_argument("--note", default="", help="why, for the audit")
        parser.add_argument("--dry-run", action="store_true", help="print what would be granted, and grant nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        one = options["player"] is not None or options["amount"] is not None
        if one == bool(options["csv"]) or (one and None in (options["player"], options["amount"])):
            raise CommandError("Give a player and an amount, or a file: grant_tokens alice 3, grant_tokens --csv FILE.")
        if options["csv"]:
            if options["source"] is not None or options["note"]:
                raise CommandError("In a file, source and note are columns of the file.")
            lines = self._lines_of(options["csv"], GrantReason(options["reason"]), options["by"])
        else:
            line = self._line_of(options)
            lines = [line]
        self._grant(lines, dry_run=options["dry_run"])
        if one and options["source"] is None and not options["dry_run"]:
            self.stdout.write(
                f"Its source is {line.source}: give it as --source where you repeat this command. Without it, the "
                "same command grants again."
            )

    def _line_of(self, options: dict[str, Any]) -> Line:
        source = f"command:{uuid.uuid4()}" if options["source"] is None else options["source"]
        try:
            player = token_csv.find_player(options["player"], by=options["by"])
            validate_grant(options["amount"], source, options["note"])
        except AmbiguousPlayer as error:
            raise CommandError(error.message(options["player"])) from error
        except UnknownPlayer as error:
            raise CommandError(f"There is no player {options['player']!r}.") from error
        except InvalidGrant as error:
            raise CommandError(f"The {error.details['code_detail']} is out of range.") from error
        return Line(1, player, options["amount"], GrantReason(options["reason"]), source, options["note"])

    def _lines_of(self, name: str, reason: GrantReason, by: str | None) -> list[Line | InvalidLine]:
        try:
            # Spreadsheet programs write a byte order mark.
            with open(name, encoding="utf-8-sig", newline="") as file:
                return list(token_csv.read_lines(file, file_name=name, reason=reason, by=by))
        except OSError as error:
            raise CommandError(f"{name} can't be read: {error.strerror}.") from error
        except InvalidFile as error:
            raise CommandError(f"{name}: {error}") from error

    def _grant(self, lines: list[Line] | list[Line | InvalidLine], *, dry_run: bool) -> None:
        """Grant each line in its own transaction, so that a bad line does not stop the others."""
        tally: Counter[str] = Counter()
        players, sources = set(), set()
        granted = TokenGrant.objects.using(router.db_for_write(TokenGrant))
        for line in lines:
            if isinstance(line, InvalidLine):
                self._report_bad(line.number, line.problem, tally)
                continue
            if line.source in sources or granted.filter(source=line.source).exists():
                tally["known"] += 1
                continue
            if not dry_run:
                try:
                    grant_tokens(
                        player=line.player, amount=line.amount, reason=line.reason, source=line.source, note=line.note
                    )
                except HeistError as error:
                    self._report_bad(line.number, str(error), tally)
                    continue
            sources.add(line.source)
            players.add(line.player.pk)
            tally["granted"] += 1
            tally["tokens"] += line.amount
        self.stdout.write(
            f"{'Would grant' if dry_run else 'Granted'} {tally['tokens']} token{pluralize(tally['tokens'])} "
            f"to {len(players)} player{pluralize(players)} in {tally['granted']} grant{pluralize(tally['granted'])}; "
            f"granted before: {tally['known']}; bad lines: {tally['bad']}."
        )
        if tally["bad"]:
            bad = tally["bad"]
            raise CommandError(f"{bad} line{pluralize(bad)} could not be granted. Correct the file and run it again.")

    def _report_bad(self, number: int, problem: str, tally: Counter[str]) -> None:
        tally["bad"] += 1
        self.stderr.write(f"line {number}: {problem}")
