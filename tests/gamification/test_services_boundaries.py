"""Bounds of balances, what an account and its tokens consist of, and each way a sign-up or a sign-in ends."""

from __future__ import annotations

import datetime as dt
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import password_validation
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone
from knox.models import AuthToken

from gamification import errors, services
from gamification.models import CoinEntry, CoinReason, PlayerProfile, PointEvent, PointEventTypeMaster
from heists.economy import get_economy
from heists.models import TokenGrant
from heists.services import buy_shield, execute_heist
from tests.heists.services.elsewhere import require_named_transactions
from tests.heists.services.lost_answers import lose_the_answer

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db
# docs/specification.md: the largest integer that every JSON client reads exactly.
MOST = 9_007_199_254_740_991
AWARD = "ACHIEVEMENT_UNLOCK"


@pytest.fixture
def signals() -> Any:
    """The sign-in signals that are sent, as (kind, sender, credentials or user)."""
    sent: list[Any] = []

    def succeeded(sender: Any, user: Any, request: Any, **kwargs: Any) -> None:
        sent.append(("in", sender, user, request))

    def failed(sender: Any, credentials: Any, request: Any, **kwargs: Any) -> None:
        sent.append(("failed", sender, credentials, request))

    user_logged_in.connect(succeeded)
    user_login_failed.connect(failed)
    yield sent
    user_logged_in.disconnect(succeeded)
    user_login_failed.disconnect(failed)


def balances(user: Any, **values: int) -> None:
    PlayerProfile.objects.filter(user=user).update(**values)


@pytest.mark.parametrize(
    ("points", "monthly", "change", "error"),
    [
        (10, 5, -5, None),
        (10, 5, -6, {"required": 6, "available": 5}),
        (5, 10, -6, {"required": 6, "available": 5}),
        (MOST - 5, 0, 5, None),
        (MOST - 5, 0, 6, {"maximum": MOST}),
        (0, MOST - 5, 6, {"maximum": MOST}),
        (0, 0, 0, None),
    ],
)
def test_points_stay_between_0_and_the_most(
    alice: Any, profile: Any, points: int, monthly: int, change: int, error: dict[str, int] | None
) -> None:
    balances(alice, points=points, monthly_points=monthly)

    if error is None:
        event = services.award_points(player=alice, type_name=AWARD, points=change, reference="r")
        assert (profile(alice).points, profile(alice).monthly_points) == (points + change, monthly + change)
        assert (event.user_id, event.type_id, event.points, event.reference) == (alice.pk, AWARD, change, "r")
        return
    with pytest.raises((errors.InsufficientPoints, errors.BalanceTooLarge)) as raised:
        services.award_points(player=alice, type_name=AWARD, points=change)
    assert raised.value.details == error
    assert (profile(alice).points, profile(alice).monthly_points) == (points, monthly)


@pytest.mark.parametrize(
    ("coins", "change", "error"),
    [
        (5, -5, None),
        (5, -6, {"required": 6, "available": 5}),
        (MOST - 5, 5, None),
        (MOST - 5, 6, {"maximum": MOST}),
    ],
)
def test_coins_stay_between_0_and_the_most(
    alice: Any, profile: Any, coins: int, change: int, error: dict[str, int] | None
) -> None:
    balances(alice, coins=coins)

    if error is None:
        entry = services.award_coins(player=alice, amount=change, reason=CoinReason.CORRECTION, reference="r")
        assert profile(alice).coins == coins + change
        assert (entry.user_id, entry.amount, entry.reason, entry.reference) == (alice.pk, change, "CORRECTION", "r")
        return
    with pytest.raises((errors.InsufficientCoins, errors.BalanceTooLarge)) as raised:
        services.award_coins(player=alice, amount=change)
    assert (raised.value.details, profile(alice).coins) == (error, coins)
    assert not CoinEntry.objects.exists()


def test_coins_are_an_award_by_default(alice: Any) -> None:
    assert services.award_coins(player=alice, amount=1).reason == "AWARD"


def test_points_of_an_unknown_or_inactive_type_are_an_error_that_names_it(alice: Any) -> None:
    PointEventTypeMaster.objects.filter(name=AWARD).update(active=False)

    for name in ("NO_SUCH", AWARD):
        with pytest.raises(errors.UnknownEventType) as raised:
            services.award_points(player=alice, type_name=name, points=1)
        assert raised.value.details == {"type": name}


@pytest.mark.django_db(transaction=True)
def test_a_lock_needs_a_transaction(alice: Any) -> None:
    with pytest.raises(TransactionManagementError, match="lock_profiles"):
        services.lock_profiles(alice.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("call", ["award_points", "award_coins", "sign_up", "sign_in", "change_password"])
def test_a_service_is_the_outermost_transaction(alice: Any, call: str) -> None:
    arguments: dict[str, Any] = {
        "award_points": {"player": alice, "type_name": AWARD, "points": 1},
        "award_coins": {"player": alice, "amount": 1},
        "sign_up": {"username": "carol", "password": PASSWORD},
        "sign_in": {"username": "alice", "password": PASSWORD},
        "change_password": {"user": alice, "password": PASSWORD, "new_password": "another long one"},
    }[call]

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        getattr(services, call)(**arguments)


def test_missing_profiles_are_made_and_those_there_are_kept(alice: Any, profile: Any) -> None:
    code, others = profile(alice).referral_code, [User.objects.create(username=name) for name in ("x", "y")]

    with transaction.atomic():
        services.lock_profiles(others[1].pk, alice.pk, others[0].pk)

    assert profile(alice).referral_code == code
    assert [(profile(user).points, len(profile(user).referral_code)) for user in others] == [(0, 12), (0, 12)]


@pytest.mark.parametrize(("equal", "made"), [(1, True), (3, True), (5, False)])
def test_an_equal_code_is_drawn_again_a_few_times(
    alice: Any, profile: Any, monkeypatch: pytest.MonkeyPatch, equal: int, made: bool
) -> None:
    codes = [profile(alice).referral_code] * equal + ["ZZZZZZZZZZZZ"]
    for place in ("services", "models"):
        monkeypatch.setattr(f"gamification.{place}.new_referral_code", lambda: codes.pop(0))

    user = User.objects.create(username="x")
    with transaction.atomic():
        if made:
            services.lock_profiles(user.pk)
            assert profile(user).referral_code == "ZZZZZZZZZZZZ"
        else:
            with pytest.raises(RuntimeError, match=f"{user.pk}"):
                services.lock_profiles(user.pk)


@pytest.mark.parametrize(("equal", "made"), [(1, True), (2, True), (3, False)])
def test_a_sign_up_with_an_equal_code_is_tried_again_a_few_times(
    alice: Any, profile: Any, monkeypatch: pytest.MonkeyPatch, equal: int, made: bool
) -> None:
    codes = [profile(alice).referral_code] * equal + ["ZZZZZZZZZZZZ"]
    monkeypatch.setattr("gamification.models.new_referral_code", lambda: codes.pop(0))

    if made:
        assert profile(services.sign_up(username="carol", password=PASSWORD)).referral_code == "ZZZZZZZZZZZZ"
    else:
        with pytest.raises(IntegrityError):
            services.sign_up(username="carol", password=PASSWORD)
        assert not User.objects.filter(username="carol").exists()


def test_an_account_that_is_made_at_the_second_try_has_a_new_key(
    alice: Any, profile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [profile(alice).referral_code, "ZZZZZZZZZZZZ", "Z" * 11 + "Y"]
    monkeypatch.setattr("gamification.models.new_referral_code", lambda: codes.pop(0))
    tries = 0

    def meanwhile(name: str) -> bool:
        nonlocal tries
        tries += 1
        if tries == 2:
            # SQLite gives it the key of the first try, which was rolled back.
            User.objects.create(username="dora")
        return False

    monkeypatch.setattr(services, "_is_taken", meanwhile)

    carol = services.sign_up(username="carol", password=PASSWORD)

    assert (tries, profile(carol).user.username) == (2, "carol")


@pytest.mark.django_db(transaction=True)
def test_a_sign_in_whose_commit_is_not_answered_is_repeated(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as lost:
        lose_the_answer(lost)
        secret = services.sign_in(username="alice", password=PASSWORD)

    assert (
        AuthToken.objects.filter(
            user=alice, token_key=secret[: len(AuthToken.objects.latest("created").token_key)]
        ).count()
        == 1
    )
    # Nobody knows the first one.
    assert AuthToken.objects.count() == 2


def test_a_name_taken_while_the_account_is_made_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([False, True])
    User.objects.create(username="carol")
    monkeypatch.setattr(services, "_is_taken", lambda name: next(taken))

    with pytest.raises(errors.UsernameTaken):
        services.sign_up(username="carol", password=PASSWORD)


def test_a_wrong_name_and_a_wrong_password_are_both_named() -> None:
    with pytest.raises(ValidationError) as raised:
        services.sign_up(username="not a name", password="123", email="no address")

    assert raised.value.message_dict.keys() == {"username", "password", "email"}
    with pytest.raises(ValidationError) as raised:
        services.sign_up(username="p\u0430ypal", password="password-of-p\u0430ypal")
    assert raised.value.error_dict["username"][0].code == "mixed_alphabets"


@pytest.mark.parametrize("spelling", [str.lower, "  {}\n".format, str])
def test_a_code_may_be_typed_in_any_case_with_spaces_around(alice: Any, profile: Any, spelling: Any) -> None:
    code = spelling(profile(alice).referral_code)

    carol = services.sign_up(username="carol", password=PASSWORD, referral_code=code)

    assert profile(carol).referred_by == alice
    assert TokenGrant.objects.get(player=alice).source == f"referral:{carol.pk}"
    bonus = PointEvent.objects.get(user=alice, type__name="REFERRAL_BONUS")
    assert bonus.reference == f"referral:{carol.pk}"


def test_a_site_that_gives_nothing_for_signing_up_writes_no_event(profile: Any) -> None:
    PointEventTypeMaster.objects.filter(name="SIGNUP").update(active=False)
    carol = services.sign_up(username="carol", password=PASSWORD)
    assert (profile(carol).points, PointEvent.objects.filter(user=carol).exists()) == (0, False)

    PointEventTypeMaster.objects.filter(name="SIGNUP").update(active=True, points=7)
    dora = services.sign_up(username="dora", password=PASSWORD)
    assert (profile(dora).points, profile(dora).monthly_points) == (7, 7)
    assert list(PointEvent.objects.filter(user=dora).values_list("type_id", "points")) == [("SIGNUP", 7)]


def test_a_second_sign_in_leaves_the_first_device_signed_in(alice: Any) -> None:
    secrets = [services.sign_in(username="alice", password=PASSWORD) for _ in range(3)]

    assert len(set(secrets)) == 3
    tokens = AuthToken.objects.filter(user=alice)
    assert {token.token_key for token in tokens} == {secret[: len(tokens[0].token_key)] for secret in secrets}


def test_a_sign_in_deletes_the_expired_tokens_of_its_own_account_only(alice: Any, bob: Any, monkeypatch: Any) -> None:
    now = timezone.now()
    for user in (alice, bob):
        for late in (-1, 0, 1):
            token = AuthToken.objects.create(user=user)[0]
            AuthToken.objects.filter(pk=token.pk).update(expiry=now + dt.timedelta(seconds=late))
    endless = AuthToken.objects.create(user=alice)[0]
    AuthToken.objects.filter(pk=endless.pk).update(expiry=None)
    monkeypatch.setattr(timezone, "now", lambda: now)

    services.sign_in(username="alice", password=PASSWORD)

    left = sorted(AuthToken.objects.filter(user=alice).values_list("expiry", flat=True), key=str)
    assert len(left) == 3
    assert now + dt.timedelta(seconds=1) in left and None in left
    assert AuthToken.objects.filter(user=bob).count() == 3


def test_each_sign_in_is_signalled(alice: Any, signals: Any) -> None:
    services.sign_in(username="alice", password=PASSWORD)
    for name, password in (("alice", "wrong"), ("nobody", PASSWORD)):
        with pytest.raises(errors.InvalidCredentials):
            services.sign_in(username=name, password=password)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(errors.InactiveAccount):
        services.sign_in(username="alice", password=PASSWORD)
    with pytest.raises(errors.InvalidCredentials):
        services.sign_in(username="alice", password="wrong")

    failed = [("failed", "gamification.services", {"username": name}, None) for name in ("alice", "nobody", "alice")]
    assert signals == [("in", User, alice, None), *failed]
    assert AuthToken.objects.count() == 1


def test_an_unknown_name_takes_as_long_as_a_wrong_password(alice: Any, monkeypatch: Any) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(User, "set_password", lambda self, password: hashed.append(password))

    with pytest.raises(errors.InvalidCredentials):
        services.sign_in(username="nobody", password="typed")
    assert hashed == ["typed"]


def test_signing_out_ends_one_token_or_all_of_the_account(alice: Any, bob: Any) -> None:
    of_alice = [AuthToken.objects.create(user=alice)[0] for _ in range(3)]
    of_bob = AuthToken.objects.create(user=bob)[0]

    services.sign_out(user=alice, token=of_bob)
    services.sign_out(user=alice, token=of_alice[0])
    assert set(AuthToken.objects.all()) == {*of_alice[1:], of_bob}
    services.sign_out(user=alice)
    assert set(AuthToken.objects.all()) == {of_bob}


def test_a_changed_password_ends_all_tokens_and_a_wrong_one_changes_nothing(alice: Any) -> None:
    AuthToken.objects.create(user=alice)
    new = "another long password"
    with pytest.raises(errors.InvalidCredentials):
        services.change_password(user=alice, password="wrong", new_password=new)
    with pytest.raises(ValidationError) as raised:
        services.change_password(user=alice, password=PASSWORD, new_password="123")
    assert raised.value.message_dict.keys() == {"new_password"}
    assert AuthToken.objects.filter(user=alice).exists()
    alice.refresh_from_db()
    alice.email = "a@example.com"
    alice.save()
    assert AuthToken.objects.filter(user=alice).exists()

    services.change_password(user=alice, password=PASSWORD, new_password=new)

    assert User.objects.get(pk=alice.pk).check_password(new)
    assert not AuthToken.objects.exists()


class Lagging:
    """Names a database that does not exist for each read, and for each lock of a user, that is not told where to go."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "nowhere"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "nowhere" if model is User and not hints else "default"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


def test_every_statement_and_transaction_is_on_the_database_that_is_written(
    alice: Any, bob: Any, profile: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, economy = profile(alice).referral_code, get_economy()
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    settings.DATABASE_ROUTERS = [Lagging()]
    require_named_transactions(monkeypatch)

    services.award_points(player=alice, type_name=AWARD, points=1)
    services.award_coins(player=alice, amount=60)
    carol = services.sign_up(username="carol", password=PASSWORD, referral_code=code)
    services.sign_in(username="carol", password=PASSWORD)
    services.change_password(user=carol, password=PASSWORD, new_password="another long password")
    services.sign_in(username="carol", password="another long password")
    services.sign_out(user=carol)
    for name in ("carol", "nobody"):
        with pytest.raises(errors.InvalidCredentials):
            services.sign_in(username=name, password="wrong")
    shield = buy_shield(player_id=alice.pk)

    assert economy.coins(alice.pk) == 10
    assert [payment.coins for payment in economy.shield_payments([shield.pk]) or ()] == [50]
    assert list(economy.point_events([heist.pk]) or ()) == list(economy.all_point_events() or ()) == []
    assert economy.ledger_balances([alice.pk, carol.pk]) == {alice.pk: 151, carol.pk: 100}


@pytest.mark.parametrize("part", ["clean_fields", "validate_password"])
def test_a_validator_of_the_host_that_is_broken_is_raised_as_it_is(
    alice: Any, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(User if part == "clean_fields" else password_validation, part, broken)

    with pytest.raises(ZeroDivisionError):
        services.sign_up(username="carol", password=PASSWORD)
    if part == "validate_password":
        with pytest.raises(ZeroDivisionError):
            services.change_password(user=alice, password=PASSWORD, new_password="another long password")


def test_a_code_is_its_owners_and_no_other_players(alice: Any, bob: Any, profile: Any) -> None:
    carol = services.sign_up(username="carol", password=PASSWORD, referral_code=profile(bob).referral_code)

    assert profile(carol).referred_by == bob
    assert not TokenGrant.objects.filter(player=alice).exists()
    with pytest.raises(errors.UnknownReferralCode):
        services.sign_up(username="dora", password=PASSWORD, referral_code="A" * 12)


def test_only_a_name_or_code_that_is_taken_makes_a_sign_up_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def broken(user: Any, code: Any) -> None:
        calls.append(user)
        raise ZeroDivisionError

    monkeypatch.setattr(services, "_create_account", broken)

    with pytest.raises(ZeroDivisionError):
        services.sign_up(username="carol", password=PASSWORD)
    assert len(calls) == 1


def test_an_account_that_is_deleted_while_it_signs_in_gets_no_token(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = User.check_password

    def then_delete(self: Any, password: str) -> bool:
        right = check(self, password)
        User.objects.using("default").filter(pk=self.pk).delete()
        return right

    monkeypatch.setattr(User, "check_password", then_delete)

    with pytest.raises(errors.InvalidCredentials):
        services.sign_in(username="alice", password=PASSWORD)


@pytest.mark.parametrize("code", ["", "A", "A" * 11, "A" * 13, "A" * 11 + "!", "A" * 11 + "\x00"])
def test_a_text_that_is_no_code_costs_no_statement(alice: Any, django_assert_num_queries: Any, code: str) -> None:
    with django_assert_num_queries(0), pytest.raises(errors.UnknownReferralCode):
        services.sign_up(username="carol", password=PASSWORD, referral_code=code)


def test_a_sign_in_hashes_no_password_twice(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "check_password", mock.Mock(side_effect=AssertionError))

    assert services.sign_in(username="alice", password=PASSWORD)
