"""A service call inside a host's transaction: the same RuntimeError for every end, and nothing is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from heists import services
from heists.choices import GrantReason
from heists.models import EmailPreference, Heist, HeistToken, Reversal, RuleChange, RuleSet, Shield, TokenGrant, Truce
from heists.rules import Rules
from tests.factories import player

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "a success": lambda rich, poor: services.execute_heist(attacker_id=rich.pk, victim_id=poor.pk),
    "a rejection": lambda rich, poor: services.execute_heist(attacker_id=poor.pk, victim_id=rich.pk),
    "a repeated key": lambda rich, poor: services.execute_heist(
        attacker_id=poor.pk, victim_id=rich.pk, idempotency_key="key"
    ),
    "a shield": lambda rich, poor: services.buy_shield(player_id=rich.pk),
    "a shield without coins": lambda rich, poor: services.buy_shield(player_id=poor.pk),
    "expired shields": lambda rich, poor: services.expire_shields(),
    "a grant": lambda rich, poor: services.grant_tokens(
        player=rich, amount=1, reason=GrantReason.PROMOTION, source="nested"
    ),
    "a reversal": lambda rich, poor: services.reverse_heist(
        heist_id=Heist.objects.order_by("pk")[0].pk, reversed_by=None, reason="a bug"
    ),
    "a correction": lambda rich, poor: services.take_back(
        grant=TokenGrant.objects.get(player=rich), by=None, reason="a bug"
    ),
    "a truce": lambda rich, poor: services.set_truce(player_id=rich.pk, wanted=True),
    "no truce": lambda rich, poor: services.set_truce(player_id=rich.pk, wanted=False),
    "a change of the rules": lambda rich, poor: services.change_rules(
        rules=Rules(token_cost=2),
        takes_effect_at=timezone.now() + dt.timedelta(hours=1),
        changed_by=None,
        reason="a try",
    ),
    "a switch": lambda rich, poor: services.switch_heists(enabled=False, changed_by=None, reason="a bug"),
    "an email preference": lambda rich, poor: services.set_email_preference(player_id=rich.pk, muted=True),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("enabled", [True, False])
def test_it_raises_before_anything_is_written(call: Any, enabled: Any, settings: Settings) -> None:
    rich, poor = player(points=1000, tokens=2, coins=500), player(points=1000)
    services.execute_heist(attacker_id=poor.pk, victim_id=rich.pk, idempotency_key="key")
    settings.HEISTS = {**settings.HEISTS, "ENABLED": enabled, "STEAL_PERCENTAGE": 7}
    models = (Heist, HeistToken, Reversal, RuleChange, RuleSet, Shield, TokenGrant, Truce, EmailPreference)
    before = [model.objects.count() for model in models]

    with transaction.atomic(), pytest.raises(RuntimeError):
        call(rich, poor)

    assert [model.objects.count() for model in models] == before
    assert not connection.in_atomic_block
