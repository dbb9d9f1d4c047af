from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from gamification.demo.build import MIN_HEISTS, MIN_PLAYERS, Built, seed_demo
from heists.choices import EmailState, FailureCode, GrantReason, HeistNotificationType, HeistStatus
from heists.models import EmailPreference, Heist, HeistNotification, OutboxEmail, Shield, TokenGrant, Truce
from tests.conftest import HeistSettings
from tests.replay import assert_replay_agrees

pytestmark = pytest.mark.django_db


def values(model: Any, field: str) -> set[Any]:
    return set(model.objects.values_list(field, flat=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("size", [{}, {"players": MIN_PLAYERS, "heists": MIN_HEISTS}])
def test_every_status_and_notification_is_there_and_the_audit_finds_nothing(
    now: dt.datetime, seed: int, size: dict[str, Any]
) -> None:
    seed_demo(seed=seed, now=now, **size)

    call_command("audit_heists", stdout=io.StringIO())
    assert_replay_agrees()
    assert Heist.objects.count() == size.get("heists", 600)
    assert values(Heist, "status") == set(HeistStatus.values)
    assert values(HeistNotification, "type") == set(HeistNotificationType.values)


def test_every_code_reason_and_email_state_is_there(now: dt.datetime) -> None:
    seed_demo(now=now)

    # Off by default, or beyond any points of the demo.
    rare = {FailureCode.DAILY_LIMIT, FailureCode.PAIR_COOLDOWN, FailureCode.LOSS_LIMIT, FailureCode.BALANCE_FULL}
    rare |= {FailureCode.NEWCOMER}
    assert values(Heist, "failure_code") >= {None, *FailureCode.values} - rare
    assert values(TokenGrant, "reason") == set(GrantReason.values)
    assert values(OutboxEmail, "state") == set(EmailState.values)
    assert Shield.objects.live(now).exists()
    assert Truce.objects.filter(ends_at__lte=now).exists() and Truce.objects.filter(ends_at=None).exists()
    assert EmailPreference.objects.get().player.username == "frank"


def test_without_emails_the_outbox_stays_empty(
    seed_smallest: Callable[..., Built], heist_settings: HeistSettings
) -> None:
    heist_settings(EMAIL_ENABLED=False)

    seed_smallest()

    assert not OutboxEmail.objects.exists()
    assert not HeistNotification.objects.filter(email_sent=True).exists()


def test_sentences_are_in_the_language_of_the_site(seed_smallest: Callable[..., Built], settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"

    seed_smallest()

    assert HeistNotification.objects.filter(message="Dein Schild ist ungenutzt abgelaufen.")


def test_other_rules_are_followed_too(now: dt.datetime, settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    settings.HEISTS = {
        **settings.HEISTS,
        "TOKEN_COST": 2,
        "COOLDOWN_HOURS": 1,
        "TARGET_COOLDOWN_HOURS": 0,
        "MAX_HEISTS_PER_DAY": 1,
        "PAIR_COOLDOWN_HOURS": 100,
        "TOKENS_PER_REFERRAL": 0,
        "SHIELD_COST": 0,
        "NEWCOMER_DAYS": 40,
    }

    seed_demo(heists=300, now=now)

    call_command("audit_heists", stdout=io.StringIO())
    assert_replay_agrees()
    assert Heist.objects.filter(failure_code=FailureCode.NEWCOMER).exists()
    assert not TokenGrant.objects.filter(reason=GrantReason.REFERRAL).exists()
