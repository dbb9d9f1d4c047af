"""Signups and awards at the same moment. PostgreSQL only: SQLite has one writer at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from gamification import errors, services
from gamification.models import PlayerProfile, PointEvent
from gamification.referrals import reward_referrals
from heists.errors import OutcomeUnknown
from heists.models import HeistToken
from tests.concurrency import at_once
from tests.heists.services.lost_answers import fail_write, lose_the_answer
from tests.races.staging import ConcurrentCall

from .conftest import PASSWORD

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
]


def signing_up(username: str, code: str | None) -> Callable[[], Any]:
    return lambda: services.sign_up(username=username, password=PASSWORD, referral_code=code)


def test_every_signup_with_one_code_counts_once(alice: Any) -> None:
    code = PlayerProfile.objects.get(user=alice).referral_code

    users = at_once(*(signing_up(f"friend{n}", code) for n in range(20)))

    assert len({user.pk for user in users}) == 20
    profile = PlayerProfile.objects.get(user=alice)
    assert (profile.points, profile.monthly_points) == (100 + 20 * 50,) * 2
    assert PointEvent.objects.filter(user=alice, type__name="REFERRAL_BONUS").count() == 20
    assert HeistToken.objects.get(user=alice).balance == 20


def test_one_username_at_once_is_one_account(alice: Any) -> None:
    code = PlayerProfile.objects.get(user=alice).referral_code

    results = at_once(*[signing_up("bob", None), signing_up("bob", code)] * 6, errors=errors.UsernameTaken)

    assert Counter(type(result).__name__ for result in results) == {"User": 1, "UsernameTaken": 11}
    assert PlayerProfile.objects.count() == 2


def test_a_missing_profile_is_created_once(django_user_model: Any) -> None:
    users = [django_user_model.objects.create_user(f"late{n}").pk for n in range(2)]

    def locking(*ids: int) -> Callable[[], None]:
        return lambda: transaction.atomic(services.lock_profiles)(*ids)

    at_once(*[locking(*users), locking(*reversed(users))] * 5)

    assert PlayerProfile.objects.count() == 2


def test_two_profiles_are_locked_in_one_order_whatever_the_order_of_the_arguments(alice: Any, bob: Any) -> None:
    """The wrong order would deadlock: each of the two calls would hold the profile that the other one waits for."""

    def locking(*ids: Any) -> ConcurrentCall:
        return ConcurrentCall(lambda: transaction.atomic(services.lock_profiles)(*ids))

    calls = locking(alice.pk, bob.pk), locking(bob.pk, alice.pk)
    with transaction.atomic():
        services.lock_profiles(alice.pk)
        for call in calls:
            call.start()
            call.settle()
        # Both wait here, so neither of them holds the second profile.
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM gamification_playerprofile WHERE user_id = %s FOR UPDATE NOWAIT", [bob.pk])
    for call in calls:
        call.finish()

    assert [call.error for call in calls] == [None, None]


def test_the_order_of_locks_is_asked_for_and_not_left_to_an_index(alice: Any, bob: Any) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as statements:
        services.lock_profiles(bob.pk, alice.pk)

    [lock] = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert " ".join(lock.split()).endswith(" ORDER BY user_id FOR UPDATE")


@pytest.mark.parametrize(
    ("call", "table", "locks"),
    [
        ("sign_up", "gamification_playerprofile", 'FOR UPDATE OF "gamification_playerprofile"'),
        ("change_password", "auth_user", "FOR UPDATE"),
        ("sign_in", "auth_user", "FOR UPDATE"),
    ],
)
def test_a_row_that_decides_is_locked_and_no_other(alice: Any, bob: Any, call: str, table: str, locks: str) -> None:
    code = PlayerProfile.objects.get(user=alice).referral_code
    arguments: dict[str, Any] = {
        "sign_up": {"username": "carol", "password": PASSWORD, "referral_code": code},
        "change_password": {"user": alice, "password": PASSWORD, "new_password": "another long one 17"},
        "sign_in": {"username": "alice", "password": PASSWORD},
    }[call]

    with CaptureQueriesContext(connection) as statements:
        getattr(services, call)(**arguments)

    [lock] = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert f'FROM "{table}"' in lock
    assert lock.endswith(locks)


def test_points_awarded_at_once_all_arrive(alice: Any) -> None:
    at_once(*[lambda: services.award_points(player=alice, type_name="CHECKIN", points=10)] * 20)

    assert PlayerProfile.objects.get(user=alice).points == 300


def test_coins_are_never_spent_twice(alice: Any) -> None:
    services.award_coins(player=alice, amount=50)

    results = at_once(*[lambda: services.award_coins(player=alice, amount=-50)] * 10, errors=errors.InsufficientCoins)

    assert sum(isinstance(result, errors.InsufficientCoins) for result in results) == 9
    assert PlayerProfile.objects.get(user=alice).coins == 0


@pytest.mark.parametrize(
    ("owner", "function", "result"),
    [("User", "check_password", errors.InvalidCredentials), ("AuthTokenManager", "create", str)],
    ids=["after the password is checked", "after the token is created"],
)
def test_no_token_outlives_a_password_changed_meanwhile(
    alice: Any, monkeypatch: pytest.MonkeyPatch, owner: str, function: str, result: type[Any]
) -> None:
    owners = {"User": type(alice), "AuthTokenManager": type(AuthToken.objects)}
    original = getattr(owners[owner], function)
    change = ConcurrentCall(
        lambda: services.change_password(user=alice, password=PASSWORD, new_password="another long one 17")
    )

    def with_change(*args: Any, **kwargs: Any) -> Any:
        returned = original(*args, **kwargs)
        if change.ident is None:
            monkeypatch.setattr(owners[owner], function, original)
            change.start()
            change.settle()
        return returned

    monkeypatch.setattr(owners[owner], function, with_change)
    try:
        signed_in: Any = services.sign_in(username="alice", password=PASSWORD)
    except errors.InvalidCredentials as error:
        signed_in = error
    change.finish()

    assert change.error is None
    assert isinstance(signed_in, result)
    assert not AuthToken.objects.filter(user=alice).exists()


@pytest.mark.parametrize(
    "call",
    ["award_points", "award_coins", "sign_up", "sign_in", "change_password", "sign_out", "reward_referrals"],
)
def test_a_serialization_failure_repeats_the_call_and_nothing_happens_twice(
    alice: Any, call: str, settings: Any
) -> None:
    settings.GAMIFICATION = {"REFERRAL_MONTHLY_CAP": 5}
    code = PlayerProfile.objects.get(user=alice).referral_code
    services.sign_up(username="bob", password=PASSWORD, referral_code=code)
    services.sign_in(username="alice", password=PASSWORD)
    calls: dict[str, Callable[[], Any]] = {
        "award_points": lambda: services.award_points(player=alice, type_name="CHECKIN", points=10),
        "award_coins": lambda: services.award_coins(player=alice, amount=10),
        "sign_up": lambda: services.sign_up(username="carol", password=PASSWORD, referral_code=code),
        "sign_in": lambda: services.sign_in(username="alice", password=PASSWORD),
        "change_password": lambda: services.change_password(
            user=alice, password=PASSWORD, new_password="another long one 17"
        ),
        "sign_out": lambda: services.sign_out(user=alice),
        "reward_referrals": reward_referrals,
    }

    def state() -> tuple[int, ...]:
        profiles = PlayerProfile.objects.aggregate(points=Sum("points"), coins=Sum("coins"))
        return (*profiles.values(), PointEvent.objects.count(), AuthToken.objects.count(), User.objects.count())

    before = state()
    with fail_write():
        calls[call]()

    change = tuple(after - earlier for after, earlier in zip(state(), before, strict=True))
    # Points, coins, point events, tokens of sign-ins, accounts.
    assert (
        change
        == {
            "award_points": (10, 0, 1, 0, 0),
            "award_coins": (0, 10, 0, 0, 0),
            "sign_up": (100, 0, 1, 0, 1),
            "sign_in": (0, 0, 0, 1, 0),
            "change_password": (0, 0, 0, -1, 0),
            "sign_out": (0, 0, 0, -1, 0),
            "reward_referrals": (50, 0, 1, 0, 0),
        }[call]
    )


@pytest.mark.parametrize("call", ["award_points", "award_coins", "sign_up", "change_password"])
def test_a_call_whose_commit_is_lost_is_not_repeated_where_it_would_count_twice(
    alice: Any, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, Callable[[], Any]] = {
        "award_points": lambda: services.award_points(player=alice, type_name="CHECKIN", points=10),
        "award_coins": lambda: services.award_coins(player=alice, amount=10),
        "sign_up": lambda: services.sign_up(username="carol", password=PASSWORD),
        "change_password": lambda: services.change_password(
            user=alice, password=PASSWORD, new_password="another long one 17"
        ),
    }
    lose_the_answer(monkeypatch)

    with pytest.raises(OutcomeUnknown):
        calls[call]()

    done = {
        "award_points": lambda: PlayerProfile.objects.get(user=alice).points == 110,
        "award_coins": lambda: PlayerProfile.objects.get(user=alice).coins == 10,
        "sign_up": lambda: User.objects.filter(username="carol").count() == 1,
        "change_password": lambda: User.objects.get(pk=alice.pk).check_password("another long one 17"),
    }
    assert done[call]()
