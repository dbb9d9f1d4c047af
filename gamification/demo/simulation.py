"""Simulates heists in the order of time, each judged by heists.rules."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from heists.choices import FailureCode, GrantReason, HeistNotificationType
from heists.economy import current_month
from heists.rules import (
    Attacker,
    Failure,
    Loss,
    Outcome,
    Rules,
    Truce,
    Victim,
    amount,
    day_start,
    failures,
    losses_since,
    month_after,
    next_month,
    outcomes_since,
)

from .players import CAST, LiveShield, Player
from .rows import Rows
from .scenario import ATTACKS, EVENTS, Attack, Grant, Purchase, Return

# What an attacker tries, in percent of the attempts; the rules decide how it ends.
INTENT_PERCENT = {
    "open victim": 70,
    "shielded victim": 6,
    "attacker on cooldown": 7,
    "protected victim": 7,
    "poor victim": 3,
    "attacker without tokens": 3,
    "closed account": 2,
    "oneself": 2,
}
INTENTS = [intent for intent, percent in INTENT_PERCENT.items() for _ in range(percent)]
SHIELDS_PER_ATTEMPT = 0.09
# Of the random players, those with a truce.
TRUCE_SHARE = 0.15
# How many random players are looked at before the search for a suitable one ends.
MAX_LOOKS = 40
MAX_RECENT_PLAYERS = 64
GRANT_REASONS = [GrantReason.PROMOTION] * 8 + [GrantReason.STAFF, GrantReason.REFUND]
# `expire_shields` runs a moment after a shield ran out.
EXPIRY_DELAY = dt.timedelta(milliseconds=1)
# One success of random players in this many is reversed, and one grant by staff in this many is taken back.
SUCCESSES_PER_REVERSAL, GRANTS_PER_CORRECTION = 40, 5
# Staff decide about a complaint after this time.
COMPLAINT_DELAY = dt.timedelta(hours=3)


class Success(NamedTuple):
    """A success whose points staff may return."""

    heist_id: int
    attacker: Player
    victim: Player
    points: int
    at: dt.datetime


class Mistake(NamedTuple):
    """A grant that staff take back."""

    grant_id: int
    player: Player
    tokens: int
    at: dt.datetime


class Simulation:
    """Simulates `heists` attempts between `start` and `now`. The same arguments give the same rows."""

    def __init__(
        self,
        players: Sequence[Player],
        *,
        rules: Rules,
        rows: Rows,
        heists: int,
        start: dt.datetime,
        now: dt.datetime,
        random: Random,
    ) -> None:
        self._players, self._rules, self._rows, self._random = players, rules, rows, random
        self._heists, self._start, self._now = heists, start, now
        self._random_players = players[len(CAST) :]
        self._cast = {player.name: player for player in players[: len(CAST)]}
        # From here on, only the scenario moves the cast.
        self._cast_scripted_from = now - max(rules.cooldown, rules.protection) - dt.timedelta(days=5)
        self._recent_attackers: deque[Player] = deque(maxlen=MAX_RECENT_PLAYERS)
        self._recent_victims: deque[Player] = deque(maxlen=MAX_RECENT_PLAYERS)
        self._attackers: dict[str, Sequence[Player]] = {
            "attacker on cooldown": self._recent_attackers,
            "attacker without tokens": [p for p in players if p.attackable and not p.attacks],
        }
        self._victims: dict[str, Sequence[Player]] = {
            "protected victim": self._recent_victims,
            "poor victim": [p for p in players if p.active and p.points < rules.min_target_points],
            "closed account": [p for p in players if not p.active],
        }
        # In the order in which they expire; used ones stay until then.
        self._shields: deque[LiveShield] = deque()
        self._month_ends_at = start
        # What staff decide later, in the order of time.
        self._complaints: deque[Success | Mistake] = deque()
        self._successes = self._staff_grants = 0
        self._last_success: dict[tuple[str, str], Success] = {}

    def run(self) -> Iterator[None]:
        """Add all rows to `rows`, and yield after each attempt of random players, so that the caller may write them."""
        for player in self._players:
            if player.referrer and (tokens := self._rules.tokens_per_referral):
                referred = {"referred_id": player.key, "referred_name": player.name}
                source = f"referral:{player.key}"
                self._grant(player.referrer, tokens, GrantReason.REFERRAL, player.joined_at, source, **referred)
        events = deque(sorted(EVENTS, key=lambda event: -event.hours_before_end))
        self._add_truces()
        duration_ms = (self._now - self._start) // dt.timedelta(milliseconds=1)
        attempts = self._heists - ATTACKS
        for number in range(attempts):
            # Whole milliseconds, as the JSON of a notification keeps no more.
            offset_ms = int(duration_ms * (number + self._random.random()) / attempts)
            at = self._start + dt.timedelta(milliseconds=offset_ms)
            while events and self._event_time(events[0]) <= at:
                self._play(events.popleft())
            self._catch_up(at)
            buyer = self._random_player(at)
            if buyer.attackable and self._random.random() < SHIELDS_PER_ATTEMPT:
                self._buy_shield(buyer, at)
            self._attempt(*self._choose_players(at), at)
            yield
        for event in events:
            self._play(event)
        self._catch_up(self._now)
        for shield in self._shields:
            if shield.player.shield is shield:
                self._rows.close_shield(shield)

    def _add_truces(self) -> None:
        """Give some random players a truce of one month, or one that they still want."""
        for player in self._random_players if self._rules.truce_enabled else ():
            if self._random.random() >= TRUCE_SHARE:
                continue
            wished_at = self._start + self._random.random() * (self._now - self._start)
            starts_at = next_month(self._rules, wished_at)
            ends_at = next_month(self._rules, starts_at)
            # The end was set in the truce's last month, which has to be over or running.
            truce = Truce(starts_at, ends_at if starts_at <= self._now and self._random.random() < 0.7 else None)
            player.truces = (truce,)
            self._rows.add_truce(player, *truce, wished_at)

    def _event_time(self, event: Attack | Grant | Purchase | Return) -> dt.datetime:
        return self._now - dt.timedelta(hours=event.hours_before_end)

    def _play(self, event: Attack | Grant | Purchase | Return) -> None:
        at, player = self._event_time(event), self._cast[event.player]
        self._catch_up(at)
        match event:
            case Attack():
                if player.attacks:
                    self._ensure_tokens(player, at)
                self._attempt(player, self._cast[event.victim], at)
            case Grant():
                self._grant(player, event.tokens, event.reason, at)
            case Purchase():
                self._buy_shield(player, at)
            case Return():
                if success := self._last_success.get((event.player, event.victim)):
                    self._reverse(success, at)

    def _begin_months(self, at: dt.datetime) -> None:
        """Begin all months up to that of `at`, for all players."""
        if at < self._month_ends_at:
            return
        zone, current = self._rules.time_zone, current_month(at)
        for player in self._players:
            while player.month < current:
                month = month_after(player.month)
                self._rows.begin_month(player, month, day_start(zone, month))
        self._month_ends_at = day_start(zone, month_after(current))

    def _random_player(self, at: dt.datetime) -> Player:
        first = len(CAST) if at >= self._cast_scripted_from else 0
        return self._players[first + int(self._random.random() * (len(self._players) - first))]

    def _choose_players(self, at: dt.datetime) -> tuple[Player, Player]:
        """Return an attacker and a victim."""
        intent = self._random.choice(INTENTS)
        attackers, victims = self._attackers.get(intent), self._victims.get(intent)
        attacker = self._random.choice(attackers) if attackers else self._ready_attacker(at)
        if intent == "oneself":
            return attacker, attacker
        if intent == "shielded victim" and (shielded := self._shielded_victim()):
            return attacker, shielded
        return attacker, self._random.choice(victims) if victims else self._open_victim(attacker, at)

    def _ready_attacker(self, at: dt.datetime) -> Player:
        """Return a player who is not on cooldown, and grant tokens where there are too few."""
        for _look in range(MAX_LOOKS):
            player = self._random_player(at)
            if player.attacks and (player.last_spent_at is None or player.last_spent_at + self._rules.cooldown <= at):
                break
        if player.attacks:
            self._ensure_tokens(player, at)
        return player

    def _open_victim(self, attacker: Player, at: dt.datetime) -> Player:
        """Return a player without shield and protection, or any random player if none was found."""
        for _look in range(MAX_LOOKS):
            player = self._random_player(at)
            if (
                player.attackable
                and player is not attacker
                and player.shield is None
                and (not player.losses or player.losses[-1].at + self._rules.protection <= at)
                and (player.loss_limit_until is None or player.loss_limit_until <= at)
            ):
                return player
        return self._random.choice(self._random_players)

    def _shielded_victim(self) -> Player | None:
        for _look in range(MAX_LOOKS if self._shields else 0):
            shield = self._random.choice(self._shields)
            if shield.player.shield is shield and shield.player.attackable:
                return shield.player
        return None

    def _attempt(self, attacker: Player, victim: Player, at: dt.datetime) -> None:
        rules = self._rules
        attacker_facts = Attacker(
            attacker.key, attacker.tokens, attacker.last_spent_at, attacker.outcomes, truces=attacker.truces
        )
        victim_facts = Victim(
            victim.key,
            victim.active,
            victim.points,
            victim.losses,
            victim.truces,
            joined_at=victim.joined_at,
            last_spent_at=victim.last_spent_at,
        )
        if failure := next(failures(rules, attacker_facts, victim_facts, at), None):
            if failure.code == FailureCode.LOSS_LIMIT:
                victim.loss_limit_until = failure.retry_at
            self._rows.add_heist(attacker, victim, 0, failure, at)
            return
        attacker.tokens -= rules.token_cost
        attacker.tokens_spent += rules.token_cost
        attacker.last_spent_at = at
        since = outcomes_since(rules, at)
        attacker.outcomes = (*(o for o in attacker.outcomes if o.at >= since), Outcome(victim.key, at))
        if attacker.attackable:
            self._recent_attackers.append(attacker)
        details = {
            "attacker_id": attacker.key,
            "attacker_name": attacker.name,
            "victim_id": victim.key,
            "victim_name": victim.name,
        }
        if victim.shield:
            heist_id = self._rows.add_heist(attacker, victim, 0, Failure(FailureCode.SHIELD), at)
            self._rows.close_shield(victim.shield, used_at=at, used_by=heist_id)
            victim.shield = None
            self._rows.add_notification(HeistNotificationType.SHIELD_ACTIVATED, victim, at, heist_id, **details)
            return
        points = amount(rules, victim_facts, at)
        heist_id = self._rows.add_heist(attacker, victim, points, None, at)
        attacker.points += points
        victim.points -= points
        since = losses_since(rules, at)
        victim.losses = (*(loss for loss in victim.losses if loss.at >= since), Loss(points, at))
        if victim.attackable:
            self._recent_victims.append(victim)
        self._note(Success(heist_id, attacker, victim, points, at))
        details["points"] = points
        self._rows.add_notification(HeistNotificationType.HEIST_SUCCESS, attacker, at, heist_id, **details)
        details["protection_until"] = at + rules.protection
        self._rows.add_notification(HeistNotificationType.HEIST_VICTIM, victim, at, heist_id, **details)

    def _note(self, success: Success) -> None:
        """Keep what may be reversed later: by the scenario, or after a complaint."""
        if not success.victim.attackable:
            self._last_success[success.attacker.name, success.victim.name] = success
        elif success.attacker.attackable:
            self._successes += 1
            if self._successes % SUCCESSES_PER_REVERSAL == 3:
                self._complaints.append(success)

    def _catch_up(self, at: dt.datetime) -> None:
        """Decide the complaints, begin the months and expire the shields that are due at `at`."""
        while self._complaints and (due := self._complaints[0].at + COMPLAINT_DELAY) <= at:
            self._begin_months(due)
            complaint = self._complaints.popleft()
            if isinstance(complaint, Success):
                self._reverse(complaint, due)
            else:
                self._correct(complaint, due)
        self._begin_months(at)
        self._expire_shields(at)

    def _reverse(self, success: Success, at: dt.datetime) -> None:
        attacker, victim = success.attacker, success.victim
        points = min(success.points, attacker.points)
        if points < 1 or at >= next_month(self._rules, success.at):
            return
        tokens = self._rules.token_cost
        self._rows.add_reversal(success.heist_id, attacker, victim, points, token_returned=tokens > 0, at=at)
        attacker.points -= points
        victim.points += points
        if tokens:
            self._grant(attacker, tokens, GrantReason.REFUND, at, f"refund:{success.heist_id}")

    def _correct(self, mistake: Mistake, at: dt.datetime) -> None:
        if tokens := min(mistake.tokens, mistake.player.tokens):
            self._rows.add_correction(mistake.grant_id, mistake.player, tokens, at)
            mistake.player.tokens -= tokens

    def _ensure_tokens(self, player: Player, at: dt.datetime) -> None:
        if player.tokens < self._rules.token_cost:
            tokens = self._rules.token_cost * self._random.randrange(2, 6)
            self._grant(player, tokens, self._random.choice(GRANT_REASONS), at)

    def _grant(
        self, player: Player, tokens: int, reason: GrantReason, at: dt.datetime, source: str = "", **referred: Any
    ) -> None:
        grant_id = self._rows.add_grant(player, tokens, reason, at, source, **referred)
        if reason == GrantReason.STAFF and player.attackable:
            self._staff_grants += 1
            if self._staff_grants % GRANTS_PER_CORRECTION == 1:
                self._complaints.append(Mistake(grant_id, player, tokens, at))
        player.tokens += tokens
        player.last_earned_at = at

    def _buy_shield(self, player: Player, at: dt.datetime) -> None:
        cost = self._rules.shield_cost
        if player.shield or not player.active or player.coins < cost:
            return
        player.coins -= cost
        player.shield = self._rows.open_shield(player, at, at + self._rules.shield_life)
        self._shields.append(player.shield)

    def _expire_shields(self, at: dt.datetime) -> None:
        while self._shields and self._shields[0].expires_at <= at:
            shield = self._shields.popleft()
            if shield.player.shield is shield:
                shield.player.shield = None
                expired_at = shield.expires_at + EXPIRY_DELAY
                self._rows.close_shield(shield, expired_at=expired_at)
                self._rows.add_notification(
                    HeistNotificationType.SHIELD_EXPIRED, shield.player, expired_at, shield_id=shield.id
                )
