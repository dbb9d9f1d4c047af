"""Defines a check: a function that yields the rows that break one promise, and its code."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Case, Q, QuerySet, Value, When

from ..choices import HeistStatus
from ..economy import Economy
from ..models import AttemptLog, DeletedLoss, Heist, HeistNotification, HeistToken, Reversal, RuleSet, Shield, Truce
from ..rules import CLOCK_TOLERANCE, Rules

# Rows read at once, and ids in one statement: memory does not grow, and SQLite takes up to 32,766 parameters.
CHUNK_ROWS = 10_000

# The clocks of two hosts may differ, so the order of two times within it says nothing.
TOLERANCE = Value(CLOCK_TOLERANCE)

# Rows that break a promise: querysets, or dictionaries with the keys that the check declares.
Broken = Iterable["QuerySet[Any] | dict[str, Any]"]


class Skipped(Exception):
    """Raised by a check whose optional method this economy does not have. The audit reports it and continues."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that disagrees with the other rows."""

    code: str
    ids: dict[str, Any]
    numbers: dict[str, Any]

    def __str__(self) -> str:
        ids = ", ".join(f"{name} {value}" for name, value in self.ids.items())
        numbers = ", ".join(f"{name} {value}" for name, value in self.numbers.items())
        return f"{self.code}: {ids}: {numbers}" if numbers else f"{self.code}: {ids}"


@dataclass(frozen=True)
class AuditData:
    """The rows under audit: one database at one moment, with the host's economy."""

    using: str
    economy: Economy
    now: dt.datetime
    # The age up to which no notification is pruned; None where nothing prunes them.
    retention: dt.timedelta | None = None
    # Attempts that can't be judged again, counted by the reason. The checks fill it.
    unknown: Counter[str] = field(default_factory=Counter)

    def rows(self, model: Any) -> QuerySet[Any]:
        found: QuerySet[Any] = model._base_manager.using(self.using).all()
        return found

    @property
    def heists(self) -> QuerySet[Heist]:
        return self.rows(Heist)

    @property
    def outcomes(self) -> QuerySet[Heist]:
        return self.heists.filter(token_spent=True)

    @property
    def successes(self) -> QuerySet[Heist]:
        return self.heists.filter(status=HeistStatus.SUCCESS)

    @property
    def reversals(self) -> QuerySet[Reversal]:
        return self.rows(Reversal)

    @property
    def attempt_log(self) -> QuerySet[AttemptLog]:
        return self.rows(AttemptLog)

    @property
    def tokens(self) -> QuerySet[HeistToken]:
        return self.rows(HeistToken)

    @property
    def notifications(self) -> QuerySet[HeistNotification]:
        return self.rows(HeistNotification)

    @property
    def shields(self) -> QuerySet[Shield]:
        return self.rows(Shield)

    @property
    def truces(self) -> QuerySet[Truce]:
        return self.rows(Truce)

    @cached_property
    def rule_sets(self) -> dict[int, Rules]:
        return {row.pk: row.rules for row in self.rows(RuleSet)}

    def window(self, length: Callable[[Rules], dt.timedelta]) -> Case:
        """Return an expression for the length of a window by the rules of each heist."""
        whens = (When(rule_set=pk, then=Value(length(rules))) for pk, rules in self.rule_sets.items())
        return Case(*whens)

    @cached_property
    def deleted_losses(self) -> dict[Any, list[DeletedLoss]]:
        """What the token rows keep of deleted heists, by victim; without the rows that nobody can read."""
        kept = ((token.user_id, read_losses(token)) for token in self.tokens.filter(losses_on_deleted__isnull=False))
        return {player: losses for player, losses in kept if losses}

    @property
    def notifications_kept_since(self) -> dt.datetime:
        """The time since which no notification can have been pruned, by a host whose clock is ahead."""
        if self.retention is None:
            return dt.datetime.min.replace(tzinfo=dt.UTC)
        return self.now - self.retention + CLOCK_TOLERANCE

    def heists_in_chunks(self, *fields: str, rows: QuerySet[Heist] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the values of these fields, after the primary key, of all heists or of `rows`; by primary key."""
        return in_chunks((self.heists if rows is None else rows).values_list("pk", *fields))


def read_losses(token: HeistToken) -> list[DeletedLoss] | None:
    """Return what a token row keeps of deleted heists; None where the trigger can't have written it."""
    try:
        return token.deleted_losses
    except (TypeError, ValueError):
        return None


def in_chunks(rows: QuerySet[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield tuples of values, by primary key, which has to be the first value of each."""
    rows, rest = rows.order_by("pk"), rows.order_by("pk")
    while chunk := list(rest[:CHUNK_ROWS]):
        yield chunk
        rest = rows.filter(pk__gt=chunk[-1][0])


def unless(condition: Q, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows for which a condition is not true. `exclude` would lose those for which it is null."""
    wrong: QuerySet[Any] = rows.annotate(right=Case(When(condition, then=Value(1)), default=Value(0))).filter(right=0)
    return wrong


@dataclass(frozen=True)
class Check:
    """One promise, in words. `code` is stable, `find` yields the rows that break it."""

    code: str
    promise: str
    find: Callable[[AuditData], Broken]
    ids: dict[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()

    def differences(self, data: AuditData) -> Iterator[Difference]:
        """Yield each difference. Raises Skipped where the economy lacks the method that the check needs."""
        for found in self.find(data):
            if isinstance(found, dict):
                yield self._difference(found)
                continue
            for row in found.values(*self.ids.values(), *self.numbers).iterator():
                yield self._difference(row)

    def _difference(self, row: dict[str, Any]) -> Difference:
        return Difference(
            self.code,
            {label: row[name] for label, name in self.ids.items()},
            {name.replace("__", " "): row[name] for name in self.numbers},
        )


def check(
    code: str, *, ids: dict[str, str], numbers: tuple[str, ...] = ()
) -> Callable[[Callable[[AuditData], Broken]], Check]:
    """Make a check of a function. Its docstring is the promise; `ids` maps labels to the fields that identify a row."""

    def make(find: Callable[[AuditData], Broken]) -> Check:
        return Check(code, (find.__doc__ or code).strip(), find, ids, numbers)

    return make
