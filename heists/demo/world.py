"""The story of an invented world: heist after heist through time, each judged by the rules of `rules.py`.

The same players, seed, rules and `now` make the same world. It walks through time once, and hands out rows in batches.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from .. import rules
from ..choices import FailureCode, GrantReason, HeistNotificationType, HeistStatus
from . import script
from .batch import Batch
from .host import DemoPlayer, DemoPurchase, DemoShield, DemoTransfer
from .news import Newsroom
from .people import CAST

# What a raider is up to, of every hundred attempts; the rules decide what comes of it.
INTENTS = (
    ["rob"] * 70
    + ["brave the shield"] * 6
    + ["too soon"] * 7
    + ["too late"] * 7
    + ["rob the poor"] * 3
    + ["rob without a token"] * 3
    + ["rob the gone"] * 2
    + ["rob oneself"] * 2
)
SHIELDS_PER_ATTEMPT = 0.09
# How many players are looked at before the next best is taken.
LOOKS = 40
RECENT = 64
GIFTS = [GrantReason.PROMOTION] * 8 + [GrantReason.STAFF, GrantReason.REFUND]


class World:
    """Plays `attempts` heists between `start` and `now`; see `batches`."""

    def __init__(
        self,
        players: Sequence[DemoPlayer],
        *,
        numbers: rules.Rules,
        rules_id: int,
        attempts: int,
        start: dt.datetime,
        now: dt.datetime,
        random: Random,
        newsroom: Newsroom,
        has_coins: bool,
        staff_key: Any,
        first_heist_id: int,
        first_grant_id: int,
        first_shield_id: int,
    ) -> None:
        self.players = players
        self.numbers = numbers
        self.attempts = attempts
        self.start, self.now = start, now
        self._rules_id = rules_id
        self._random = random
        self._newsroom = newsroom
        self._has_coins = has_coins
        self._staff_key = staff_key
        self._heist_id, self._grant_id, self._shield_id = first_heist_id, first_grant_id, first_shield_id
        # Names this world's promotions, so that a second world beside it grants its own.
        self._series = f"demo-{first_grant_id}"
        self._crowd = players[len(CAST) :]
        self._cast = {player.name: player for player in players[: len(CAST)]}
        # From here on, only the script moves the cast.
        self._quiet_from = now - max(numbers.cooldown, numbers.protection) - dt.timedelta(days=5)
        self._poor = [p for p in players if p.active and p.starting_points < numbers.min_target_points]
        self._gone = [p for p in players if not p.active]
        self._tokenless = [p for p in players if p.prey and not p.raider]
        self._spent: deque[DemoPlayer] = deque(maxlen=RECENT)
        self._robbed: deque[DemoPlayer] = deque(maxlen=RECENT)
        self._shields: deque[DemoShield] = deque()
        self._shielded: list[DemoShield] = []
        self._batch = Batch()

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the rows of the whole story, about `size` heists at a time."""
        yield from self._welcome(size)
        scenes = deque(script.SCENES)
        span = (self.now - self.start) // dt.timedelta(milliseconds=1)
        crowd_attempts = self.attempts - script.ATTACKS
        for number in range(crowd_attempts):
            # The millisecond is what the metadata of a notification keeps.
            at = self.start + dt.timedelta(milliseconds=int(span * (number + self._random.random()) / crowd_attempts))
            while scenes and self.now - scenes[0].ago <= at:
                self._play(scenes.popleft())
            self._expire_shields(at)
            buyer = self._somebody(at)
            if self._has_coins and buyer.prey and self._random.random() < SHIELDS_PER_ATTEMPT:
                self._buy_shield(buyer, at)
            self._attempt(*self._choose(at), at)
            if len(self._batch.heists) >= size:
                yield self._turn_over()
        while scenes:
            self._play(scenes.popleft())
        self._expire_shields(self.now)
        for shield in self._shields:
            if not shield.closed:
                self._close_shield(shield)
        yield self._turn_over()

    def _turn_over(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        return batch

    def _welcome(self, size: int) -> Iterator[Batch]:
        """Reward who referred somebody: their first tokens."""
        for player in self.players:
            if player.referrer and self.numbers.tokens_per_referral:
                self._grant(
                    player.referrer,
                    self.numbers.tokens_per_referral,
                    GrantReason.REFERRAL,
                    player.joined_at,
                    source=f"referral:{player.key}",
                    referred_id=player.key,
                    referred_name=player.name,
                )
                if len(self._batch.grants) >= size:
                    yield self._turn_over()

    def _play(self, scene: script.Scene) -> None:
        at = self.now - scene.ago
        player = self._cast[scene.player]
        self._expire_shields(at)
        match scene:
            case script.Attack():
                if player.raider:
                    self._fund(player, at)
                self._attempt(player, self._cast[scene.victim], at)
            case script.Gift():
                self._grant(player, scene.amount, scene.reason, at)
            case script.Purchase() if self._has_coins:
                self._buy_shield(player, at)

    # Who meets whom

    def _somebody(self, at: dt.datetime) -> DemoPlayer:
        least = len(CAST) if at >= self._quiet_from and len(self.players) > len(CAST) + 4 else 0
        return self.players[least + int(self._random.random() * (len(self.players) - least))]

    def _raider(self, at: dt.datetime) -> DemoPlayer:
        """Find somebody who is out of their cooldown, and see that they hold a token."""
        for _look in range(LOOKS):
            player = self._somebody(at)
            if player.raider and (player.last_spent_at is None or player.last_spent_at + self.numbers.cooldown <= at):
                break
        if player.raider:
            self._fund(player, at)
        return player

    def _prey(self, raider: DemoPlayer, at: dt.datetime) -> DemoPlayer:
        """Find somebody worth a token, as far as a robber can see."""
        for _look in range(LOOKS):
            player = self._somebody(at)
            if (
                player.prey
                and player is not raider
                and player.shield is None
                and (not player.losses or player.losses[-1].at + self.numbers.protection <= at)
                and (player.drained_until is None or player.drained_until <= at)
            ):
                return player
        # Nobody is worth it today: anybody of the crowd, and the rules will say why not.
        return self._random.choice(self._crowd)

    def _choose(self, at: dt.datetime) -> tuple[DemoPlayer, DemoPlayer]:
        dice = self._random
        intent = dice.choice(INTENTS)
        if intent == "too soon" and self._spent:
            raider = dice.choice(self._spent)
            return raider, self._prey(raider, at)
        if intent == "rob without a token" and self._tokenless:
            raider = dice.choice(self._tokenless)
            return raider, self._prey(raider, at)
        raider = self._raider(at)
        if intent == "brave the shield" and self._shielded:
            shield = dice.choice(self._shielded)
            return raider, shield.player
        if intent == "too late" and self._robbed:
            return raider, dice.choice(self._robbed)
        if intent == "rob the poor" and self._poor:
            return raider, dice.choice(self._poor)
        if intent == "rob the gone" and self._gone:
            return raider, dice.choice(self._gone)
        if intent == "rob oneself":
            return raider, raider
        return raider, self._prey(raider, at)

    # What comes of it

    def _attempt(self, raider: DemoPlayer, prey: DemoPlayer, at: dt.datetime) -> None:
        attacker = rules.Attacker(raider.key, raider.tokens, raider.last_spent_at, raider.raids)
        victim = rules.Victim(prey.key, prey.active, prey.points, prey.losses)
        refusal = next(rules.refusals(self.numbers, attacker, victim, at), None)
        points = 0
        heist_id, self._heist_id = self._heist_id, self._heist_id + 1
        raider.has_token_row = True
        if refusal:
            if refusal.code == FailureCode.LOSS_LIMIT:
                prey.drained_until = refusal.retry_at
            status = refusal.code.status
        elif prey.shield:
            refusal = rules.Refusal(FailureCode.SHIELD)
            status = HeistStatus.FAILED_SHIELD
        else:
            points = rules.amount(self.numbers, victim, at)
            status = HeistStatus.SUCCESS
        self._record(heist_id, raider, prey, points, status, refusal, at)
        if status in HeistStatus.outcomes():
            self._spend(raider, prey, at)
            if points:
                self._rob(heist_id, raider, prey, points, at)
            else:
                self._block(heist_id, raider, prey, at)

    def _record(
        self,
        heist_id: int,
        raider: DemoPlayer,
        prey: DemoPlayer,
        points: int,
        status: HeistStatus,
        refusal: rules.Refusal | None,
        at: dt.datetime,
    ) -> None:
        dice = self._random
        self._batch.heists.append(
            (
                heist_id,
                raider.key,
                prey.key,
                points,
                prey.points,
                prey.points - points,
                raider.points,
                raider.points + points,
                status in HeistStatus.outcomes(),
                status.value,
                refusal.code.value if refusal else None,
                (refusal.code.value, refusal.retry_at) if refusal else None,
                refusal.retry_at if refusal else None,
                f"203.0.113.{dice.randrange(1, 255)}",
                f"{dice.getrandbits(128):032x}" if dice.random() < 0.5 else None,
                self._rules_id,
                at,
            )
        )

    def _spend(self, raider: DemoPlayer, prey: DemoPlayer, at: dt.datetime) -> None:
        raider.tokens -= self.numbers.token_cost
        raider.tokens_spent += self.numbers.token_cost
        raider.last_spent_at = at
        since = rules.raids_since(self.numbers, at)
        raider.raids = (*(raid for raid in raider.raids if raid.at >= since), rules.Raid(prey.key, at))
        if at < self._quiet_from or raider.name not in CAST:
            self._spent.append(raider)

    def _rob(self, heist_id: int, raider: DemoPlayer, prey: DemoPlayer, points: int, at: dt.datetime) -> None:
        raider.points += points
        prey.points -= points
        since = rules.losses_since(self.numbers, at)
        prey.losses = (*(loss for loss in prey.losses if loss.at >= since), rules.Loss(points, at))
        if prey.prey:
            self._robbed.append(prey)
        self._batch.transfers.append(DemoTransfer(heist_id, raider, prey, points, at))
        told = {**self._names(raider, prey), "points": points}
        self._newsroom.tell(self._batch, HeistNotificationType.HEIST_SUCCESS, raider, at, heist_id, **told)
        told["protection_until"] = at + self.numbers.protection
        self._newsroom.tell(self._batch, HeistNotificationType.HEIST_VICTIM, prey, at, heist_id, **told)

    def _block(self, heist_id: int, raider: DemoPlayer, prey: DemoPlayer, at: dt.datetime) -> None:
        assert prey.shield is not None  # noqa: S101 - only a shield stops a heist that the rules let pass
        self._close_shield(prey.shield, used_at=at, used_by=heist_id)
        told = self._names(raider, prey)
        self._newsroom.tell(self._batch, HeistNotificationType.SHIELD_ACTIVATED, prey, at, heist_id, **told)

    def _names(self, raider: DemoPlayer, prey: DemoPlayer) -> dict[str, Any]:
        return {
            "attacker_id": raider.key,
            "attacker_name": raider.name,
            "victim_id": prey.key,
            "victim_name": prey.name,
        }

    # Tokens and shields

    def _fund(self, player: DemoPlayer, at: dt.datetime) -> None:
        if player.tokens < self.numbers.token_cost:
            self._grant(player, self.numbers.token_cost * self._random.randrange(2, 6), self._random.choice(GIFTS), at)

    def _grant(
        self,
        player: DemoPlayer,
        amount: int,
        reason: GrantReason,
        at: dt.datetime,
        *,
        source: str = "",
        **referred: Any,
    ) -> None:
        number, self._grant_id = self._grant_id, self._grant_id + 1
        by_staff = reason in (GrantReason.STAFF, GrantReason.REFUND)
        self._batch.grants.append(
            (
                number,
                player.key,
                amount,
                reason.value,
                source or f"{reason.value.lower()}:{self._series}:{number}",
                "after a complaint" if reason == GrantReason.REFUND else "",
                self._staff_key if by_staff else None,
                at,
            )
        )
        player.tokens += amount
        player.tokens_earned += amount
        player.last_earned_at = max(at, player.last_earned_at or at)
        player.has_token_row = True
        self._newsroom.tell(
            self._batch,
            HeistNotificationType.TOKEN_EARNED,
            player,
            at,
            grant_id=number,
            reason=reason.value,
            amount=amount,
            **referred,
        )

    def _buy_shield(self, player: DemoPlayer, at: dt.datetime) -> None:
        cost = self.numbers.shield_cost
        if player.shield or not player.active or player.coins < cost:
            return
        number, self._shield_id = self._shield_id, self._shield_id + 1
        shield = DemoShield(number, player, at, at + self.numbers.shield_life)
        player.coins -= cost
        player.shield = shield
        self._shields.append(shield)
        if player.prey:
            shield.place = len(self._shielded)
            self._shielded.append(shield)
        if cost:
            self._batch.purchases.append(DemoPurchase(player, cost, f"shield:{number}", at))

    def _expire_shields(self, at: dt.datetime) -> None:
        while self._shields and self._shields[0].expires_at <= at:
            shield = self._shields.popleft()
            if not shield.closed:
                # `expire_shields` comes by a moment later.
                expired_at = shield.expires_at + dt.timedelta(milliseconds=1)
                self._close_shield(shield, expired_at=expired_at)
                self._newsroom.tell(
                    self._batch, HeistNotificationType.SHIELD_EXPIRED, shield.player, expired_at, shield_id=shield.id
                )

    def _close_shield(
        self,
        shield: DemoShield,
        *,
        used_at: dt.datetime | None = None,
        used_by: int | None = None,
        expired_at: dt.datetime | None = None,
    ) -> None:
        """Write the shield's row, now that all about it is known; without arguments it stays live."""
        shield.closed = True
        if shield.place is not None:
            # The last one takes the place of the one that goes: no search, however many there are.
            last = self._shielded.pop()
            if last is not shield:
                self._shielded[shield.place] = last
                last.place = shield.place
            shield.place = None
        if used_at or expired_at:
            shield.player.shield = None
        self._batch.shields.append(
            (
                shield.id,
                shield.player.key,
                self.numbers.shield_cost,
                shield.bought_at,
                shield.expires_at,
                used_at,
                used_by,
                expired_at,
            )
        )
