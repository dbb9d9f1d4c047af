"""The audit of a whole world that was not played by the services: every invariant, from the rows alone."""

from __future__ import annotations

from collections import Counter, defaultdict

from django.db.models import Sum

from gamification.models import CoinEntry, PlayerProfile, PointEvent
from heists import rules
from heists.models import Heist, HeistNotification, HeistToken, Shield, TokenGrant


def assert_books_balance() -> None:
    """Recompute tokens, points and coins, and judge every heist again."""
    granted = dict(TokenGrant.objects.order_by().values_list("player").annotate(Sum("amount")))
    spent: Counter[int] = Counter()
    for heist in Heist.objects.outcomes().select_related("rules"):
        spent[heist.attacker_id] += heist.rules.token_cost
    for token in HeistToken.objects.all():
        assert token.total_earned == granted.get(token.user_id, 0), token
        assert token.total_spent == spent[token.user_id], token
    attackers = set(Heist.objects.values_list("attacker", flat=True))
    assert attackers <= set(HeistToken.objects.values_list("user", flat=True))

    moved = dict(PointEvent.objects.order_by().values_list("user").annotate(Sum("points")))
    coins = dict(CoinEntry.objects.order_by().values_list("user").annotate(Sum("amount")))
    for profile in PlayerProfile.objects.all():
        assert profile.monthly_points == moved.get(profile.user_id, 0), profile
        assert profile.coins == coins.get(profile.user_id, 0), profile

    _judge_again()
    _events_and_news_tell_of_heists()


def _judge_again() -> None:
    raids: dict[int, list[rules.Raid]] = defaultdict(list)
    losses: dict[int, list[rules.Loss]] = defaultdict(list)
    last_spent = {}
    balance: dict[int, int] = {}
    granted: dict[int, list[tuple[object, int]]] = defaultdict(list)
    for player, amount, at in TokenGrant.objects.values_list("player", "amount", "created_at"):
        granted[player].append((at, amount))
    spent: Counter[int] = Counter()
    points_at_end = dict(PlayerProfile.objects.values_list("user", "monthly_points"))
    for heist in Heist.objects.select_related("rules", "victim").order_by("created_at", "pk"):
        numbers, now, attacker, victim = heist.rules.rules, heist.created_at, heist.attacker_id, heist.victim_id
        assert balance.setdefault(attacker, heist.attacker_points_before) == heist.attacker_points_before, heist
        assert balance.setdefault(victim, heist.victim_points_before) == heist.victim_points_before, heist
        tokens = sum(amount for at, amount in granted[attacker] if at <= now) - spent[attacker]
        refusal = next(
            rules.refusals(
                numbers,
                rules.Attacker(attacker, tokens, last_spent.get(attacker), tuple(raids[attacker])),
                rules.Victim(victim, heist.victim.is_active, heist.victim_points_before, tuple(losses[victim])),
                now,
            ),
            None,
        )
        if heist.token_spent:
            assert refusal is None, (heist, refusal)
            last_spent[attacker] = now
            spent[attacker] += numbers.token_cost
            raids[attacker].append(rules.Raid(victim, now))
        else:
            assert refusal and refusal.code == heist.failure_code and refusal.retry_at == heist.retry_at, heist
        if heist.points_stolen:
            seen = rules.Victim(victim, True, heist.victim_points_before, tuple(losses[victim]))
            assert heist.points_stolen == rules.amount(numbers, seen, now), heist
            losses[victim].append(rules.Loss(heist.points_stolen, now))
            balance[attacker], balance[victim] = heist.attacker_points_after, heist.victim_points_after
    assert {player: points_at_end[player] for player in balance} == balance


def _events_and_news_tell_of_heists() -> None:
    successes = list(Heist.objects.successful())
    events = {
        (reference, user, points)
        for reference, user, points in PointEvent.objects.filter(type__in=["HEIST_GAIN", "HEIST_LOSS"]).values_list(
            "reference", "user", "points"
        )
    }
    assert events == {(f"heist:{h.pk}", h.attacker_id, h.points_stolen) for h in successes} | {
        (f"heist:{h.pk}", h.victim_id, -h.points_stolen) for h in successes
    }
    told = Counter(HeistNotification.objects.values_list("type", flat=True))
    blocked = set(Heist.objects.filter(status="FAILED_SHIELD").values_list("pk", flat=True))
    assert told["HEIST_SUCCESS"] == told["HEIST_VICTIM"] == len(successes)
    assert told["SHIELD_ACTIVATED"] == len(blocked)
    assert told["TOKEN_EARNED"] == TokenGrant.objects.count()
    assert told["SHIELD_EXPIRED"] == Shield.objects.filter(expired_at__isnull=False).count()
    assert set(Shield.objects.filter(used_by__isnull=False).values_list("used_by", flat=True)) == blocked
    for shield in Shield.objects.filter(used_at__isnull=False):
        assert shield.bought_at <= shield.used_at < shield.expires_at
