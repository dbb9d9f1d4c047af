"""Signing up, points and coins (docs/specification.md, "The two apps")."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import override_settings

from gamification import errors, services
from gamification.models import (
    MAX_BALANCE,
    CoinEntry,
    CoinReason,
    PlayerProfile,
    PointEvent,
    PointEventTypeMaster,
    ReferralReward,
)
from heists.models import HeistNotification, HeistToken, TokenGrant
from tests.conftest import HeistSettings

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db


def test_a_new_player_has_a_profile_a_code_and_the_points_of_signing_up(profile: Any) -> None:
    user = services.sign_up(username="carol", password=PASSWORD, email="carol@EXAMPLE.com")

    carol = profile(user)
    assert (carol.points, carol.monthly_points, carol.coins, carol.referred_by) == (100, 100, 0, None)
    assert len(carol.referral_code) == 12
    assert user.check_password(PASSWORD)
    assert user.email == "carol@example.com"
    (event,) = PointEvent.objects.filter(user=user)
    assert (event.type_id, event.points) == ("SIGNUP", 100)


def test_a_referral_gives_the_referrer_points_a_token_and_a_notification(alice: Any, profile: Any) -> None:
    code = profile(alice).referral_code

    bob = services.sign_up(username="bob", password=PASSWORD, referral_code=f"  {code.lower()} ")

    assert profile(bob).referred_by == alice
    assert (profile(alice).points, profile(alice).monthly_points) == (150, 150)
    event = PointEvent.objects.get(user=alice, type__name="REFERRAL_BONUS")
    assert (event.points, event.reference) == (50, f"referral:{bob.pk}")
    assert HeistToken.objects.get(user=alice).balance == 1
    assert TokenGrant.objects.get(player=alice).source == f"referral:{bob.pk}"
    assert ReferralReward.objects.get(referrer=alice).reference == f"referral:{bob.pk}"
    assert profile(bob).referral_waits_since is None
    assert HeistNotification.objects.get(user=alice).type == "TOKEN_EARNED"
    assert not HeistToken.objects.filter(user=bob, balance__gt=0).exists()


def test_an_inactive_referrer_is_recorded_and_gets_nothing(alice: Any, profile: Any) -> None:
    alice.is_active = False
    alice.save()

    bob = services.sign_up(username="bob", password=PASSWORD, referral_code=profile(alice).referral_code)

    assert profile(bob).referred_by == alice
    assert profile(alice).points == 100
    assert not TokenGrant.objects.exists()


def test_a_site_without_referral_tokens_still_gives_the_points(
    alice: Any, profile: Any, heist_settings: HeistSettings
) -> None:
    heist_settings(TOKENS_PER_REFERRAL=0)

    services.sign_up(username="bob", password=PASSWORD, referral_code=profile(alice).referral_code)

    assert profile(alice).points == 150
    assert not TokenGrant.objects.exists()


def test_inactive_event_types_give_no_points(alice: Any, profile: Any) -> None:
    PointEventTypeMaster.objects.filter(name__in=["SIGNUP", "REFERRAL_BONUS"]).update(active=False)

    bob = services.sign_up(username="bob", password=PASSWORD, referral_code=profile(alice).referral_code)

    assert profile(bob).points == 0
    assert profile(alice).points == 100
    assert not PointEvent.objects.filter(user=bob).exists()


@pytest.mark.parametrize(
    "code",
    ["", "  ", "NOBODYSCODE0", "short", "x" * 1000, "\x00" * 12, "\ud800" * 12, "ÅÅÅÅÅÅÅÅÅÅÅÅ"],
    # Half a character is no text that every environment can print.
    ids=["empty", "blank", "nobodys", "short", "long", "nul", "half a character", "foreign"],
)
def test_an_unknown_referral_code_opens_no_account(code: str) -> None:
    with pytest.raises(errors.UnknownReferralCode):
        services.sign_up(username="bob", password=PASSWORD, referral_code=code)

    assert not PlayerProfile.objects.exists()


@pytest.mark.parametrize(
    ("field", "account"),
    [
        ("username", {"username": ""}),
        ("username", {"username": "bob\x00"}),
        ("username", {"username": "bob\ud800"}),
        ("username", {"username": "b" * 151}),
        ("username", {"username": "bob smith"}),
        ("email", {"email": "nowhere"}),
        ("password", {"password": "short"}),
        ("password", {"password": "password"}),
        ("password", {"password": "8230528375"}),
        ("password", {"username": "robertsmith", "password": "robertsmith"}),
    ],
)
def test_a_malformed_account_is_rejected_by_field(field: str, account: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        services.sign_up(**{"username": "bob", "password": PASSWORD} | account)

    assert list(caught.value.error_dict) == [field]


def test_a_username_is_unique(alice: Any) -> None:
    with pytest.raises(errors.UsernameTaken):
        services.sign_up(username="alice", password=PASSWORD)


def test_an_equal_referral_code_is_drawn_again(alice: Any, profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([profile(alice).referral_code, "0" * 12])
    monkeypatch.setattr("gamification.models.new_referral_code", lambda: next(draws))

    bob = services.sign_up(username="bob", password=PASSWORD)

    assert profile(bob).referral_code == "0" * 12


def test_points_move_with_their_event(alice: Any, profile: Any) -> None:
    event = services.award_points(player=alice, type_name="CHECKIN", points=10, reference="deal:7")
    services.award_points(player=alice, type_name="CHECKIN", points=-110)

    assert (event.points, event.reference) == (10, "deal:7")
    assert (profile(alice).points, profile(alice).monthly_points) == (0, 0)
    assert sum(PointEvent.objects.filter(user=alice).values_list("points", flat=True)) == 0


@pytest.mark.parametrize(
    ("points", "error"), [(-101, errors.InsufficientPoints), (MAX_BALANCE, errors.BalanceTooLarge)]
)
def test_points_that_would_leave_their_range_do_not_move(
    alice: Any, profile: Any, points: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        services.award_points(player=alice, type_name="CHECKIN", points=points)

    assert profile(alice).points == 100
    assert PointEvent.objects.filter(user=alice).count() == 1


def test_points_need_an_active_event_type(alice: Any) -> None:
    PointEventTypeMaster.objects.filter(name="CHECKIN").update(active=False)

    for name in ("CHECKIN", "INVENTED"):
        with pytest.raises(errors.UnknownEventType):
            services.award_points(player=alice, type_name=name, points=1)


def test_coins_move_with_their_entry(alice: Any, profile: Any) -> None:
    services.award_coins(player=alice, amount=70)
    services.award_coins(player=alice, amount=-50, reason=CoinReason.CORRECTION, reference="mistake")

    assert profile(alice).coins == 20
    assert list(CoinEntry.objects.order_by("id").values_list("amount", "reason")) == [
        (70, "AWARD"),
        (-50, "CORRECTION"),
    ]


def test_coins_never_fall_below_zero(alice: Any, profile: Any) -> None:
    with pytest.raises(errors.InsufficientCoins) as caught:
        services.award_coins(player=alice, amount=-1)

    assert caught.value.details == {"required": 1, "available": 0}
    assert not CoinEntry.objects.exists()


def test_a_player_without_a_profile_gets_one_when_locked(django_user_model: Any, profile: Any) -> None:
    late, later = (django_user_model.objects.create_user(name) for name in ("late", "later"))

    with transaction.atomic():
        services.lock_profiles(later.pk, late.pk)

    assert profile(late).referral_code != profile(later).referral_code
    assert profile(late).points == 0


def test_locking_is_one_statement(alice: Any, bob: Any, django_assert_num_queries: Any) -> None:
    with transaction.atomic(), django_assert_num_queries(1):
        services.lock_profiles(bob.pk, alice.pk)


def test_a_ledger_row_can_be_neither_changed_nor_deleted(alice: Any) -> None:
    services.award_coins(player=alice, amount=5)

    for row in (PointEvent.objects.get(), CoinEntry.objects.get()):
        with pytest.raises(errors.AppendOnly):
            row.save()
        with pytest.raises(errors.AppendOnly):
            row.delete()
        with pytest.raises(errors.AppendOnly):
            type(row).objects.update(reference="forged")
        with pytest.raises(errors.AppendOnly):
            type(row).objects.all().delete()


def test_a_deleted_player_takes_the_history_along_and_is_no_referrer_any_more(alice: Any, profile: Any) -> None:
    bob = services.sign_up(username="bob", password=PASSWORD, referral_code=profile(alice).referral_code)
    services.award_coins(player=alice, amount=5)

    alice.delete()

    assert profile(bob).referred_by is None
    assert set(PointEvent.objects.values_list("user", flat=True)) == {bob.pk}
    assert not CoinEntry.objects.exists()


@override_settings(AUTH_PASSWORD_VALIDATORS=[])
def test_nothing_is_left_of_a_signup_that_fails_half_way(
    alice: Any, profile: Any, monkeypatch: pytest.MonkeyPatch, django_user_model: Any
) -> None:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(services, "add_tokens", fail)

    with pytest.raises(RuntimeError):
        services.sign_up(username="bob", password="x", referral_code=profile(alice).referral_code)

    assert not django_user_model.objects.filter(username="bob").exists()
    assert profile(alice).points == 100
