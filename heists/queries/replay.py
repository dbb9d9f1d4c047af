"""Judges recorded attempts again, by other rules (docs/specification.md, "The rules").

Each attempt is judged alone: on the balances it recorded, and on the outcomes, losses, truces and shields of the rows.
What another result would have changed afterwards is not simulated. Where an attempt's own rules do not give the result
that was recorded, the rows do not hold what decided it: an account was deleted since, only the host knows (whether the
player was new), or another event came within the same second. Such an attempt is unknown, never a difference.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Max, Min, Q

from ..choices import FailureCode
from ..models import DeletedLoss, Heist, HeistToken, RuleSet, Shield, Truce
from ..rules import DAY, LONGEST_MONTH, Attacker, Loss, Outcome, Rules, Victim, amount, failures
from ..rules import Truce as TruceFacts

# Attempts read at once. SQLite takes up to 32,766 parameters in a statement, and each attempt has two players.
CHUNK_ROWS = 10_000

# How much earlier than the outcome recorded before it an attempt may be: clocks differ, and rejections take no lock.
DISORDER = dt.timedelta(minutes=2)


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
    history = History(using, rules, deleted=_deleted_losses(using), since=since)
    found, own = Comparison(), history.rule_sets
    for chunk in _chunks(since, history.lookback, until, using):
        judged = []
        for attempt in chunk:
            if attempt.at >= since:
                judged.append((attempt, _result(attempt, history, rules, own[attempt.rule_set])))
            history.add(attempt)
        # Whether a shield would have blocked an attempt that reached nobody.
        open_now = [one for one, result in judged if result and result.code is None and not one.token_spent]
        blocked = _blocked(open_now, using)
        for attempt, result in judged:
            found.add(attempt.result, Result(FailureCode.SHIELD, 0) if attempt.pk in blocked else result)
        progress(len(judged))
    return found


def _result(attempt: Attempt, history: History, rules: Rules, own: Rules) -> Result | None:
    """Return the result under other rules than its `own`; None where it is unknown."""
    replayed = history.judge(attempt, rules)
    known = replayed == attempt.result or history.judge(attempt, own) == attempt.result
    return replayed if known else None


def count(*, since: dt.datetime, until: dt.datetime, using: str, limit: int | None = None) -> int:
    """Return the number of attempts from `since` on and before `until`; `limit` at most."""
    return Heist.objects.using(using).filter(created_at__gte=since, created_at__lt=until)[:limit].count()


def lookback(rules: Rules, using: str) -> dt.timedelta:
    """Return how long before a period `compare` begins to read: the longest window of these and all earlier rules."""
    return _lookback([rules, *(row.rules for row in RuleSet.objects.using(using).all())])


def _lookback(every: list[Rules]) -> dt.timedelta:
    return max(max(DAY, LONGEST_MONTH, each.pair_cooldown, each.protection, each.cooldown) for each in every)


def _chunks(since: dt.datetime, lookback: dt.timedelta, until: dt.datetime, using: str) -> Iterator[list[Attempt]]:
    """Yield the attempts of a period, and the outcomes before it, by key, which is the order of judgement."""
    heists = Heist.objects.using(using).filter(created_at__gte=since - lookback, created_at__lt=until)
    ends = heists.aggregate(first=Min("pk"), last=Max("pk"))
    needed = Heist.objects.using(using).filter(Q(token_spent=True) | Q(created_at__gte=since))
    rows = needed.order_by("pk").values_list(*FIELDS)
    after = (ends["first"] or 0) - 1
    while chunk := list(map(Attempt._make, rows.filter(pk__gt=after, pk__lte=ends["last"] or 0)[:CHUNK_ROWS])):
        after = chunk[-1].pk
        yield [attempt for attempt in chunk if attempt.at < until]


class History:
    """What the outcomes so far leave behind for the next attempt, as the rules of the rows, and `more`, ask for it.

    Truces that ended before `since` are left out. Memory grows with the players, truces and deleted losses, and not
    with the attempts.
    """

    def __init__(
        self, using: str, *more: Rules, deleted: Mapping[Any, list[DeletedLoss]], since: dt.datetime | None = None
    ) -> None:
        self.rule_sets = {row.pk: row.rules for row in RuleSet.objects.using(using).all()}
        every = [Rules(), *more, *self.rule_sets.values()]
        self.outcomes_kept = DISORDER + max(max(DAY, each.pair_cooldown, each.cooldown) for each in every)
        self.losses_kept = DISORDER + max(max(LONGEST_MONTH, each.protection) for each in every)
        self.lookback = _lookback(every)
        # By player, oldest first.
        self.outcomes: dict[Any, tuple[Outcome, ...]] = {}
        self.losses: dict[Any, tuple[Loss, ...]] = {}
        self.truces = _truces(since, using)
        self.deleted = deleted

    def add(self, attempt: Attempt) -> None:
        """Take in the recorded result of an attempt."""
        if not attempt.token_spent:
            return
        attacker, victim, at = attempt.attacker, attempt.victim, attempt.at
        self.outcomes[attacker] = _with(self.outcomes.get(attacker, ()), Outcome(victim, at), self.outcomes_kept)
        if attempt.points:
            self.losses[victim] = _with(self.losses.get(victim, ()), Loss(attempt.points, at), self.losses_kept)

    def judge(
        self,
        attempt: Attempt,
        rules: Rules,
        *,
        joined_at: dt.datetime | None = None,
        seen_before: dt.datetime | None = None,
    ) -> Result:
        """Return the result of an attempt under these rules.

        `joined_at` is when the victim joined, which the rows do not hold. Outcomes from `seen_before` on are left out.
        """
        outcomes, losses = self.outcomes.get(attempt.attacker, ()), self.losses.get(attempt.victim, ())
        victims_own = self.outcomes.get(attempt.victim, ()) if joined_at else ()
        if attempt.victim in self.deleted:
            losses = (*losses, *self._deleted_before(attempt))
        if seen_before:
            outcomes = tuple(outcome for outcome in outcomes if outcome.at < seen_before)
            victims_own = tuple(outcome for outcome in victims_own if outcome.at < seen_before)
            losses = tuple(loss for loss in losses if loss.at < seen_before)
        tokens = attempt.attacker_tokens
        if tokens is None:
            tokens = rules.token_cost - (attempt.code == FailureCode.INSUFFICIENT_TOKENS)
        attacker = Attacker(
            attempt.attacker,
            tokens,
            outcomes[-1].at if outcomes else None,
            outcomes,
            attempt.attacker_points,
            self.truces.get(attempt.attacker, ()),
        )
        victim = Victim(
            attempt.victim,
            attempt.code != FailureCode.INACTIVE_TARGET,
            attempt.victim_points,
            losses,
            self.truces.get(attempt.victim, ()),
            joined_at,
            victims_own[-1].at if victims_own else None,
        )
        if failure := next(failures(rules, attacker, victim, attempt.at), None):
            return Result(failure.code, 0)
        if attempt.code == FailureCode.SHIELD:
            return attempt.result
        return Result(None, amount(rules, victim, attempt.at))

    def events_since(self, attempt: Attempt, since: dt.datetime) -> list[dt.datetime]:
        """Return the times of the known outcomes of both players, and of losses of the victim, from `since` on."""
        mine, theirs = self.outcomes.get(attempt.attacker, ()), self.outcomes.get(attempt.victim, ())
        times = {outcome.at for outcome in (*mine, *theirs)} | {loss.at for loss in self.losses.get(attempt.victim, ())}
        return sorted(at for at in times if at >= since)

    def _deleted_before(self, attempt: Attempt) -> Iterable[Loss]:
        losses = self.deleted.get(attempt.victim, ())
        return (Loss(loss.points, loss.at) for loss in losses if loss.heist_id < attempt.pk)


def _with(events: tuple[Any, ...], event: Any, kept: dt.timedelta) -> tuple[Any, ...]:
    """Return the events with one more, without those that are too old to matter."""
    if events and events[0].at < event.at - kept:
        events = tuple(one for one in events if one.at >= event.at - kept)
    return (*events, event)


def _truces(since: dt.datetime | None, using: str) -> dict[Any, tuple[TruceFacts, ...]]:
    found: dict[Any, tuple[TruceFacts, ...]] = {}
    rows = Truce.objects.using(using).all()
    if since is not None:
        rows = rows.filter(Q(ends_at=None) | Q(ends_at__gt=since))
    for player, starts_at, ends_at in rows.values_list("player", "starts_at", "ends_at").iterator():
        found[player] = (*found.get(player, ()), TruceFacts(starts_at, ends_at))
    return found


def _deleted_losses(using: str) -> dict[Any, list[DeletedLoss]]:
    tokens = HeistToken.objects.using(using).filter(losses_on_deleted__isnull=False)
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
