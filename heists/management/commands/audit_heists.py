"""`audit_heists`: recomputes every invariant from the rows (docs/specification.md, "Commands")."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder
from django.template.defaultfilters import pluralize
from tqdm import tqdm

from heists import audit
from heists.management.options import database_of, require_at_least


class Command(BaseCommand):
    help = "Recomputes every invariant of heists from the rows and prints each difference. Exits 1 on any."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
        parser.add_argument(
            "--limit", type=int, default=100, metavar="N", help="print at most N differences of a kind; all are counted"
        )
        parser.add_argument("--database", default=None, help="the database alias; by default where heists are written")

    def handle(self, *args: Any, **options: Any) -> None:
        limit: int = options["limit"]
        require_at_least(0, limit=limit)
        counts: dict[str, int] = {}
        skipped: dict[str, str] = {}
        printed: list[audit.Difference] = []
        bar = tqdm(audit.CHECKS, desc="audit", unit="check", disable=None, file=sys.stderr)
        with audit.open_snapshot(database_of(options["database"])) as data:
            heists = data.heists.count()
            for check in bar:
                bar.set_postfix_str(check.code)
                try:
                    for difference in check.differences(data):
                        counts[check.code] = counts.get(check.code, 0) + 1
                        if counts[check.code] <= limit:
                            printed.append(difference)
                except audit.Skipped as skip:
                    skipped[check.code] = str(skip)

        total = sum(counts.values())
        if options["json"]:
            document = {
                "heists": heists,
                "checks": len(audit.CHECKS),
                "skipped": skipped,
                "unknown": data.unknown,
                "counts": counts,
                "differences": [{"code": one.code, "ids": one.ids, "numbers": one.numbers} for one in printed],
            }
            self.stdout.write(json.dumps(document, cls=DjangoJSONEncoder, indent=2))
        else:
            for difference in printed:
                self.stdout.write(str(difference))
            for code, count in counts.items():
                if count > limit:
                    self.stdout.write(f"{code}: {count - limit} more")
            for code, why in skipped.items():
                self.stdout.write(f"{code}: skipped, {why}")
            summary = f"{heists} heist{pluralize(heists)}, {len(audit.CHECKS)} checks, {len(skipped)} skipped"
            for why, count in sorted(data.unknown.items()):
                summary += f", {count} rejection{pluralize(count)} unknown ({why})"
            self.stdout.write(summary + (f": {total} difference{pluralize(total)}." if total else ": no difference."))
        if total:
            raise SystemExit(1)
