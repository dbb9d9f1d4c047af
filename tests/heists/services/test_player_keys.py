"""Services take a player's key in the type of its column or as text, and reject what can't be a key."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models import CharField, UUIDField

from heists import services
from heists.choices import HeistStatus
from heists.economy import get_economy
from heists.errors import UnknownPlayer
from heists.models import EmailPreference, Heist, HeistNotification, HeistToken
from heists.queries import preview
from heists.user_model import to_key
from tests.factories import player

pytestmark = pytest.mark.django_db

NO_KEYS: list[Any] = [
    "nope",
    "",
    "1\x00",
    "\ud800",
    "1.5",
    1.5,
    True,
    None,
    Decimal(1),
    b"1",
    [],
    {},
    object(),
    uuid.UUID(int=1),
    0,
    -1,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**40,
    "9" * 40,
]
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "victim": lambda key, user: services.execute_heist(attacker_id=user.pk, victim_id=key),
    "victim with a key": lambda key, user: services.execute_heist(
        attacker_id=user.pk, victim_id=key, idempotency_key="key"
    ),
    "attacker": lambda key, user: services.execute_heist(attacker_id=key, victim_id=user.pk),
    "shield": lambda key, user: services.buy_shield(player_id=key),
    "truce": lambda key, user: services.set_truce(player_id=key, wanted=True),
    "preview": lambda key, user: preview.targets(attacker_id=key, victim_ids=[user.pk], economy=get_economy()),
}


@pytest.mark.parametrize("key", NO_KEYS, ids=lambda key: repr(key)[:20])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_key_without_a_player_is_an_unknown_player(call: Callable[[Any, Any], Any], key: Any) -> None:
    user = player(points=1000, tokens=1, coins=100)

    with pytest.raises(UnknownPlayer):
        call(key, user)

    assert (Heist.objects.count(), HeistToken.objects.count()) == (0, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["nope", True, 987654321, 2**63])
def test_an_unknown_player_gets_no_email_preference(key: Any) -> None:
    with pytest.raises(UnknownPlayer):
        services.set_email_preference(player_id=key, muted=True)

    assert not EmailPreference.objects.exists()


@pytest.mark.parametrize("key", NO_KEYS, ids=lambda key: repr(key)[:20])
def test_an_unknown_player_has_no_notifications_and_no_preview(key: Any) -> None:
    user = player(tokens=1)

    assert services.mark_all_read(player_id=key) == 0
    assert not services.mark_read(player_id=key, notification_id=HeistNotification.objects.get().pk)
    assert preview.targets(attacker_id=user.pk, victim_ids=[key], economy=get_economy()) == {}
    assert not HeistNotification.objects.get().read


def test_a_key_as_text_is_the_same_player() -> None:
    alice, bob = player(tokens=1, coins=100), player(points=1000)

    heist = services.execute_heist(attacker_id=str(alice.pk), victim_id=str(bob.pk), idempotency_key="key")
    again = services.execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="key")

    assert heist.status == HeistStatus.SUCCESS
    assert again == heist
    assert services.buy_shield(player_id=str(alice.pk)).player_id == alice.pk


def test_ones_own_key_as_text_is_still_oneself() -> None:
    alice = player(points=1000, tokens=1)

    assert services.execute_heist(attacker_id=alice.pk, victim_id=str(alice.pk)).failure_code == "self_target"


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        (UUIDField(), "nope", None),
        (UUIDField(), "00000000-0000-0000-0000-000000000001", uuid.UUID(int=1)),
        (UUIDField(), uuid.UUID(int=1), uuid.UUID(int=1)),
        (UUIDField(), [], None),
        (CharField(max_length=5), "alice", "alice"),
        (CharField(max_length=5), "alices", None),
        (CharField(max_length=5), 12, "12"),
        (CharField(max_length=5), "a\x00", None),
        (CharField(max_length=5), "\ud800", None),
    ],
)
def test_other_types_of_keys(monkeypatch: pytest.MonkeyPatch, field: Any, value: Any, key: Any) -> None:
    monkeypatch.setattr(get_user_model()._meta, "pk", field)

    assert to_key(value) == key
