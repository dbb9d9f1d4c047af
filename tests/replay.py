"""Replay every heist from the rows alone, in order of time, by `heists.rules`; add up the host's balances.

`audit_heists` checks each promise by a query of its own instead.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict, deque
from zoneinfo import ZoneInfo

from django.db.models import Sum

from gamification.models import CoinEntry, MonthlyStanding, PlayerProfile, PointEvent
from heists import rules
from heists.choices import FailureCode
from heists.models import Heist, Reversal, TokenGrant, Truce


def assert_replay_agrees() -> None:
    """Compare every heist, and every balance, with what the rows before it give."""
    _replay_heists()
    points = Counter[tuple[int, dt.date]]()
    for user, month, number in PointEvent.objects.values_list("user", "month", "points"):
        points[user, month] += number
    coins = dict(CoinEntry.objects.order_by().values_list("user").annotate(Sum("amount")))
    for profile in PlayerProfile.objects.all():
        assert profile.monthly_points == points.pop((profile.user_id, profile.month), 0), profile
        assert profile.coins == coins.get(profile.user_id, 0), profile
    # What is left is of months that are over.
    standings = MonthlyStanding.objects.values_list("player", "month", "points")
    assert {(player, month): number for player, month, number in standings} == {k: n for k, n in points.items() if n}


def _replay_heists() -> None:
    outcomes: dict[int, list[rules.Outcome]] = defaultdict(list)
    losses: dict[int, list[rules.Loss]] = defaultdict(list)
    last_spent: dict[int, dt.datetime] = {}
    # By player and month.
    balance: dict[tuple[int, dt.date], int] = {}
    granted: dict[int, list[tuple[dt.datetime, int]]] = defaultdict(list)
    for player, amount, at in TokenGrant.objects.values_list("player", "amount", "created_at"):
        granted[player].append((at, amount))
    truces: dict[int, list[rules.Truce]] = defaultdict(list)
    for player, starts_at, ends_at in Truce.objects.values_list("player", "starts_at", "ends_at"):
        truces[player].append(rules.Truce(starts_at, ends_at))
    spent: Counter[int] = Counter()
    reversals = deque(Reversal.objects.select_related("heist__rule_set").order_by("created_at", "pk"))

    def reverse_until(now: dt.datetime) -> None:
        """Move the balances as the reversals up to `now` did."""
        while reversals and reversals[0].created_at <= now:
            row = reversals.popleft()
            month = row.created_at.astimezone(ZoneInfo(row.heist.rule_set.time_zone)).date().replace(day=1)
            of_attacker, of_victim = (row.heist.attacker_id, month), (row.heist.victim_id, month)
            assert balance[of_attacker] == row.attacker_points_before, row
            assert balance[of_victim] == row.victim_points_before, row
            balance[of_attacker], balance[of_victim] = row.attacker_points_after, row.victim_points_after

    for heist in Heist.objects.select_related("rule_set", "victim").order_by("created_at", "pk"):
        in_force, now, attacker, victim = heist.rule_set.rules, heist.created_at, heist.attacker_id, heist.victim_id
        month = now.astimezone(ZoneInfo(in_force.time_zone)).date().replace(day=1)
        of_attacker, of_victim = (attacker, month), (victim, month)
        reverse_until(now)
        assert balance.setdefault(of_attacker, heist.attacker_points_before) == heist.attacker_points_before, heist
        assert balance.setdefault(of_victim, heist.victim_points_before) == heist.victim_points_before, heist
        tokens = sum([amount for at, amount in granted[attacker] if at <= now]) - spent[attacker]
        seen = rules.Victim(
            victim,
            heist.victim.is_active,
            heist.victim_points_before,
            tuple(losses[victim]),
            tuple(truces[victim]),
            heist.victim.date_joined,
            last_spent.get(victim),
        )
        seen_attacker = rules.Attacker(
            attacker, tokens, last_spent.get(attacker), tuple(outcomes[attacker]), heist.attacker_points_before
        )._replace(truces=tuple(truces[attacker]))
        failure = next(rules.failures(in_force, seen_attacker, seen, now), None)
        if heist.token_spent:
            assert failure is None, (heist, failure)
            last_spent[attacker] = now
            spent[attacker] += in_force.token_cost
            outcomes[attacker].append(rules.Outcome(victim, now))
        else:
            assert failure and failure.code == heist.failure_code, heist
            # A truce may have got its end after the attempt, and a later wish may have removed it.
            assert failure.retry_at == heist.retry_at or failure.code in FailureCode.truces(), heist
        if heist.points_stolen:
            assert heist.points_stolen == rules.amount(in_force, seen, now), heist
            losses[victim].append(rules.Loss(heist.points_stolen, now))
            balance[of_attacker], balance[of_victim] = heist.attacker_points_after, heist.victim_points_after
    reverse_until(dt.datetime.max.replace(tzinfo=dt.UTC))
    at_end = Counter[tuple[int, dt.date]]()
    for player, month, points in [
        *PlayerProfile.objects.values_list("user", "month", "monthly_points"),
        *MonthlyStanding.objects.values_list("player", "month", "points"),
    ]:
        at_end[player, month] = points
    assert {key: at_end[key] for key in balance} == balance
