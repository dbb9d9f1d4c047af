"""Judges recorded attempts again, by other rules (docs/specification.md, "The rules").

Each attempt is judged alone: on the balances it recorded, and on the outcomes, losses, truces and shields of the rows.
What another result would have changed afterwards is not simulated. Where an attempt's own rules do not give the result
that was recorded, the rows do not hold what decided it: an account was deleted since, only the host knows (whether the
player was new), or another event came within the same second. Such an attempt is unknown, never a difference.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Max, Min, Q

from ..choices import FailureCode
from ..models import Heist, HeistToken, RuleSet, Shield, Truce
from ..rules import DAY, LONGEST_MONTH, Attacker, Loss, Outcome, Rules, Victim, amount, failures
from ..rules import Truce as TruceFacts

# Attempts read at once. SQLite takes up to 32,766 parameters in a statement, and each attempt has two players.
CHUNK_ROWS = 10_000


class Result(NamedTuple):
    """How an attempt ended: None or the code of the failure, and the points that moved."""

    code: str | None
    points: int


class Attempt(NamedTuple):
    """A recorded attempt: what it was judged by, and its result."""

    pk: int
    attacker: Any
    victim: Any
    at: dt.datetime
    rule_set: int
    attacker_tokens: int | None
    attacker_points: int
    victim_points: int
    token_spent: bool
    code: str | None
    points: int

    @property
    def result(self) -> Result:
        return Result(self.code, self.points)


FIELDS = (
    "pk",
    "attacker_id",
    "victim_id",
    "created_at",
    "rule_set_id",
    "attacker_tokens",
    "attacker_points_before",
    "victim_points_before",
    "token_spent",
    "failure_code",
    "points_stolen",
)


@dataclass
class Comparison:
    """The recorded attempts of a period, and what other rules make of them."""

    attempts: int = 0
    unknown: int = 0
    # How many known attempts changed from one code to another; None is a success.
    changes: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    # Of the known attempts.
    points_recorded: int = 0
    points_replayed: int = 0

    @property
    def changed(self) -> int:
        """How many known attempts end with another code."""
        return sum(self.changes.values())

    def add(self, recorded: Result, replayed: Result | None) -> None:
        self.attempts += 1
        if replayed is None:
            self.unknown += 1
            return
        self.points_recorded += recorded.points
        self.points_replayed += replayed.points
        if replayed.code != recorded.code:
            self.changes[recorded.code, replayed.code] += 1


def compare(
    rules: Rules,
    *,
    since: dt.datetime,
    until: dt.datetime,
    using: str,
    progress: Callable[[int], object] = lambda count: None,
) -> Comparison:
    """Replay the attempts from `since` on and before `until` under `rules`.

    `progress` is called with the number of attempts that were read meanwhile. Memory grows with the players, truces and
    deleted losses of the period, and not with its attempts.
    """
    found, history = Comparison(), _History(rules, since, using)
    for chunk in _chunks(since - history.lookback, until, using):
        judged = []
        for attempt in chunk:
            if attempt.at >= since:
                judged.append((attempt, history.judge(attempt)))
            history.add(attempt)
        # Whether a shield would have blocked an attempt that reached nobody.
        open_now = [one for one, result in judged if result and result.code is None and not one.token_spent]
        blocked = _blocked(open_now, using)
        for attempt, result in judged:
            found.add(attempt.result, Result(FailureCode.SHIELD, 0) if attempt.pk in blocked else result)
        progress(len(chunk))
    return found


def count(*, since: dt.datetime, until: dt.datetime, using: str, limit: int | None = None) -> int:
    """Return the number of attempts from `since` on and before `until`; `limit` at most."""
    return Heist.objects.using(using).filter(created_at__gte=since, created_at__lt=until)[:limit].count()


def lookback(rules: Rules, using: str) -> dt.timedelta:
    """Return how long before a period `compare` begins to read: the longest window of these and all earlier rules."""
    return _lookback([rules, *(row.rules for row in RuleSet.objects.using(using).all())])


def _lookback(every: list[Rules]) -> dt.timedelta:
    return max(max(DAY, LONGEST_MONTH, each.pair_cooldown, each.protection, each.cooldown) for each in every)


def _chunks(since: dt.datetime, until: dt.datetime, using: str) -> Iterator[list[Attempt]]:
    """Yield the attempts of a period in the order of their keys, which is the order of judgement."""
    heists = Heist.objects.using(using).filter(created_at__gte=since, created_at__lt=until)
    ends = heists.order_by().aggregate(first=Min("pk"), last=Max("pk"))
    rows = Heist.objects.using(using).order_by("pk").values_list(*FIELDS)
    after = (ends["first"] or 0) - 1
    while chunk := list(map(Attempt._make, rows.filter(pk__gt=after, pk__lte=ends["last"] or 0)[:CHUNK_ROWS])):
        after = chunk[-1].pk
        yield [attempt for attempt in chunk if since <= attempt.at < until]


class _History:
    """What the attempts so far leave behind for the next one."""

    def __init__(self, rules: Rules, since: dt.datetime, using: str) -> None:
        self.rules = rules
        self.own = {row.pk: row.rules for row in RuleSet.objects.using(using).all()}
        every = [rules, *self.own.values()]
        self.outcomes_kept = max(max(DAY, each.pair_cooldown) for each in every)
        self.losses_kept = max(max(LONGEST_MONTH, each.protection) for each in every)
        self.lookback = _lookback(every)
        self.outcomes: dict[Any, deque[Outcome]] = defaultdict(deque)
        self.losses: dict[Any, deque[Loss]] = defaultdict(deque)
        self.last_spent: dict[Any, dt.datetime] = {}
        self.truces = _truces(since, using)
        self.deleted = _deleted_losses(using)

    def judge(self, attempt: Attempt) -> Result | None:
        """Return the result under the other rules; None where it is unknown."""
        own = self.own[attempt.rule_set]
        replayed = self._judge(attempt, self.rules)
        if replayed == attempt.result or own == self.rules:
            return replayed if replayed == attempt.result else None
        return replayed if self._judge(attempt, own) == attempt.result else None

    def add(self, attempt: Attempt) -> None:
        """Take in the recorded result of an attempt."""
        if not attempt.token_spent:
            return
        self.last_spent[attempt.attacker] = attempt.at
        _append(self.outcomes[attempt.attacker], Outcome(attempt.victim, attempt.at), self.outcomes_kept)
        if attempt.points:
            _append(self.losses[attempt.victim], Loss(attempt.points, attempt.at), self.losses_kept)

    def _judge(self, attempt: Attempt, rules: Rules) -> Result:
        tokens = rules.token_cost if attempt.attacker_tokens is None else attempt.attacker_tokens
        attacker = Attacker(
            attempt.attacker,
            tokens,
            self.last_spent.get(attempt.attacker),
            tuple(self.outcomes.get(attempt.attacker, ())),
            attempt.attacker_points,
            self.truces.get(attempt.attacker, ()),
        )
        victim = Victim(
            attempt.victim,
            attempt.code != FailureCode.INACTIVE_TARGET,
            attempt.victim_points,
            (*self.losses.get(attempt.victim, ()), *self._deleted_before(attempt)),
            self.truces.get(attempt.victim, ()),
        )
        if failure := next(failures(rules, attacker, victim, attempt.at), None):
            return Result(failure.code, 0)
        if attempt.code == FailureCode.SHIELD:
            return attempt.result
        return Result(None, amount(rules, victim, attempt.at))

    def _deleted_before(self, attempt: Attempt) -> Iterable[Loss]:
        losses = self.deleted.get(attempt.victim, ())
        return (Loss(loss.points, loss.at) for loss in losses if loss.heist_id < attempt.pk)


def _append(events: deque[Any], event: Any, kept: dt.timedelta) -> None:
    events.append(event)
    while events[0].at < event.at - kept:
        events.popleft()


def _truces(since: dt.datetime, using: str) -> dict[Any, tuple[TruceFacts, ...]]:
    found: dict[Any, tuple[TruceFacts, ...]] = {}
    rows = Truce.objects.using(using).filter(Q(ends_at=None) | Q(ends_at__gt=since))
    for player, starts_at, ends_at in rows.values_list("player", "starts_at", "ends_at").iterator():
        found[player] = (*found.get(player, ()), TruceFacts(starts_at, ends_at))
    return found


def _deleted_losses(using: str) -> dict[Any, list[Any]]:
    tokens = HeistToken.objects.using(using).exclude(losses_on_deleted=None)
    return {token.user_id: token.deleted_losses for token in tokens.iterator()}


def _blocked(attempts: list[Attempt], using: str) -> set[int]:
    """Return the keys of the attempts whose victim had a live shield at the time."""
    if not attempts:
        return set()
    first, last = min(one.at for one in attempts), max(one.at for one in attempts)
    shields = defaultdict(list)
    rows = Shield.objects.using(using).filter(bought_at__lte=last, expires_at__gt=first)
    rows = rows.filter(player__in={one.victim for one in attempts})
    for player, bought, expires, used in rows.values_list("player", "bought_at", "expires_at", "used_at").iterator():
        shields[player].append((bought, min(expires, used or expires)))
    return {one.pk for one in attempts if any(start <= one.at < end for start, end in shields.get(one.victim, ()))}
