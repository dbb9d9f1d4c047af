"""`simulate_rules`: what the recorded attempts would be under other rules (docs/specification.md, "Commands")."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from tqdm import tqdm

from heists import conf, in_force
from heists.management.options import database_of
from heists.queries import replay
from heists.queries.replay import Comparison
from heists.rules import RULE_FIELDS, Rules

DEFAULT_PERIOD = dt.timedelta(days=28)


class Command(BaseCommand):
    help = (
        "Judges the recorded attempts again, under the rules in force with some of them changed, and prints which of "
        "the attempts would have ended otherwise. Nothing is changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("changes", nargs="+", metavar="KEY=VALUE", help="a rule, such as STEAL_PERCENTAGE=8")
        parser.add_argument(
            "--since", metavar="TIME", help="first moment, such as 2026-10-01; default 28 days before the end"
        )
        parser.add_argument("--until", metavar="TIME", help="moment after the last; by default now")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
        parser.add_argument("--database", default=None, help="the database alias; by default where heists are written")

    def handle(self, *args: Any, **options: Any) -> None:
        using = database_of(options["database"])
        now = timezone.now()
        rules = changed_rules(in_force.changes(using).rules(now), options["changes"])
        until = moment("--until", options["until"]) or now
        since = moment("--since", options["since"]) or until - DEFAULT_PERIOD
        if since >= until:
            raise CommandError("--since must be before --until.")
        with tqdm(desc="replay", unit=" heists", disable=None, file=sys.stderr) as bar:
            found = replay.compare(rules, since=since, until=until, using=using, progress=bar.update)
        self.stdout.write(as_json(found, since, until) if options["json"] else as_table(found))


def changed_rules(rules: Rules, changes: list[str]) -> Rules:
    """Return the rules with these changes. Raises CommandError for a wrong key or value."""
    values: dict[str, Any] = {}
    for change in changes:
        key, _equals, text = change.partition("=")
        if key.lower() not in RULE_FIELDS or key not in conf.SETTINGS:
            keys = ", ".join(name.upper() for name in RULE_FIELDS if name.upper() in conf.SETTINGS)
            raise CommandError(f"There is no rule {key!r}; there are: {keys}.")
        values[key.lower()] = _value(key, text)
    return dataclasses.replace(rules, **values)


def _value(key: str, text: str) -> int | bool:
    setting = conf.SETTINGS[key]
    if isinstance(setting.default, bool):
        if text.lower() not in ("true", "false"):
            raise CommandError(f"{key} is true or false, not {text!r}.")
        return text.lower() == "true"
    least, most = setting.minimum or 0, setting.maximum or 0
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise CommandError(f"{key} is a whole number from {least} to {most}, not {text!r}.")
    return int(text)


def moment(option: str, text: str | None) -> dt.datetime | None:
    """Return a date or time as a moment; a date, or a time without a zone, is in the site's time zone."""
    if text is None:
        return None
    try:
        found = parse_datetime(text) or parse_date(text)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"{option} is a date or time, such as 2026-10-01 or 2026-10-01T12:00:00Z, not {text!r}.")
    if not isinstance(found, dt.datetime):
        found = dt.datetime.combine(found, dt.time())
    return found if found.tzinfo else timezone.make_aware(found)


def as_table(found: Comparison) -> str:
    """Return the comparison as lines of text."""
    known = found.attempts - found.unknown
    lines = [
        f"{found.attempts} attempt{pluralize(found.attempts)}: {found.changed} would have ended otherwise, "
        f"{known - found.changed} the same, {found.unknown} unknown."
    ]
    for (before, after), number in found.changes.most_common():
        lines.append(f"  {_name(before)} -> {_name(after)}: {number} ({100 * number / known:.1f} %)")
    lines.append(f"Points moved: {found.points_recorded} recorded, {found.points_replayed} replayed.")
    lines.append("Each attempt is judged alone: what another result would have changed afterwards is not simulated.")
    return "\n".join(lines)


def as_json(found: Comparison, since: dt.datetime, until: dt.datetime) -> str:
    """Return the comparison as a JSON document."""
    document = {
        "since": since,
        "until": until,
        "attempts": found.attempts,
        "unknown": found.unknown,
        "changed": found.changed,
        "changes": [
            {"recorded": _name(before), "replayed": _name(after), "attempts": number}
            for (before, after), number in found.changes.most_common()
        ],
        "points_recorded": found.points_recorded,
        "points_replayed": found.points_replayed,
    }
    return json.dumps(document, cls=DjangoJSONEncoder, indent=2)


def _name(code: str | None) -> str:
    return code or "success"
