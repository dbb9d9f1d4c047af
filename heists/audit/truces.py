"""Compares truces with the calendar and with the heists of their players (docs/specification.md, "Truces")."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from ..choices import HeistRole
from ..rules import CLOCK_TOLERANCE, month_start
from .base import AuditData, Broken, check, in_chunks

FOR_EVER = Value(dt.datetime.max.replace(tzinfo=dt.UTC))


@check("truce_month", ids={"truce": "pk", "player": "player_id"}, numbers=("starts_at", "ends_at"))
def whole_months(data: AuditData) -> Broken:
    """A truce starts and ends with a month of a time zone that was in force."""
    known: dict[dt.datetime | None, bool] = {None: True}
    for chunk in in_chunks(data.truces.values_list("pk", "player_id", "starts_at", "ends_at")):
        for pk, player, *span in chunk:
            for moment in span:
                if moment not in known:
                    known[moment] = any(start == moment for start in _month_starts(data, moment))
            if not all(known[moment] for moment in span):
                yield {"pk": pk, "player_id": player, "starts_at": span[0], "ends_at": span[1]}


@check("truce_overlap", ids={"truce": "pk", "player": "player_id", "other": "other"}, numbers=("starts_at", "ends_at"))
def overlaps(data: AuditData) -> Broken:
    """No two truces of a player are in force at once."""
    later = data.truces.filter(
        Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
        player=OuterRef("player"),
        starts_at__gt=OuterRef("starts_at"),
        starts_at__lt=OuterRef("end"),
    )
    truces = data.truces.annotate(end=Coalesce("ends_at", FOR_EVER))
    yield truces.annotate(other=Subquery(later.order_by("starts_at", "pk").values("pk")[:1])).exclude(other=None)


@check(
    "truce_broken",
    ids={"heist": "pk", "truce": "truce", "player": "player"},
    numbers=("status", "created_at", "starts_at", "ends_at"),
)
def broken(data: AuditData) -> Broken:
    """No outcome is inside a truce of its attacker or victim."""
    enabled = [pk for pk, rules in data.rule_sets.items() if rules.truce_enabled]
    for role in HeistRole.values:
        truce = f"{role}__heist_truces"
        rows = data.outcomes.filter(
            Q(**{f"{truce}__ends_at": None}) | Q(**{f"{truce}__ends_at__gt": F("created_at")}),
            **{f"{truce}__starts_at__lte": F("created_at")},
            rule_set__in=enabled,
        )
        yield from _after_the_first_second(
            data,
            rows.values(
                "pk",
                "status",
                "created_at",
                player=F(f"{role}_id"),
                truce=F(f"{truce}__pk"),
                starts_at=F(f"{truce}__starts_at"),
                ends_at=F(f"{truce}__ends_at"),
            ),
        )


def _after_the_first_second(data: AuditData, rows: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows that are not in the first second of a month.

    In that second, a host whose clock is behind may still let a truce of the new month begin, end or continue.
    """
    for row in rows.iterator():
        if all(row["created_at"] >= start + CLOCK_TOLERANCE for start in _month_starts(data, row["created_at"])):
            yield row


def _month_starts(data: AuditData, moment: dt.datetime) -> list[dt.datetime]:
    """Return when the month of a moment began, in each time zone that was in force."""
    return [
        month_start(rules, moment) for rules in {rules.time_zone: rules for rules in data.rule_sets.values()}.values()
    ]


CHECKS = (whole_months, overlaps, broken)
