"""Tokens are gained by grants, and a grant's source makes it happen once (docs/specification.md, "Data")."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.db.models import Sum

from heists.choices import GrantReason, HeistNotificationType
from heists.errors import InvalidGrant
from heists.models import HeistToken, OutboxEmail, TokenGrant
from heists.services import add_tokens, grant_tokens
from tests.conftest import HeistSettings
from tests.factories import player, tokens_of

pytestmark = pytest.mark.django_db


def test_a_grant_is_added_recorded_and_notified() -> None:
    alice, staff = player("alice"), player("staff")

    grant = grant_tokens(
        player=alice, amount=3, reason=GrantReason.STAFF, source="ticket:7", granted_by=staff, note="lost in an outage"
    )

    token = tokens_of(alice)
    assert (token.balance, token.total_earned, token.total_spent) == (3, 3, 0)
    assert token.last_earned_at == grant.created_at
    assert (grant.granted_by, grant.note) == (staff, "lost in an outage")
    assert alice.heist_notifications.get().type == HeistNotificationType.TOKEN_EARNED


def test_the_same_source_is_granted_once_whatever_the_other_arguments() -> None:
    alice, bob = player("alice"), player("bob")
    first = grant_tokens(player=alice, amount=1, reason=GrantReason.REFERRAL, source="referral:9", referred=bob)

    second = grant_tokens(player=bob, amount=5, reason=GrantReason.PROMOTION, source="referral:9")

    assert first == second
    assert tokens_of(alice).balance == 1
    assert not HeistToken.objects.filter(user=bob).exists()
    assert alice.heist_notifications.count() == 1


def test_a_referral_names_who_joined() -> None:
    alice, bob = player("alice"), player("bob")

    grant_tokens(player=alice, amount=1, reason=GrantReason.REFERRAL, source="referral:9", referred=bob)

    notification = alice.heist_notifications.get()
    assert notification.message == "You earned a Heist Token! bob joined using your referral code."
    assert notification.metadata["referred_id"] == bob.pk


@pytest.mark.parametrize("reason", GrantReason.of_callers())
def test_each_reason_has_a_message_of_its_own(reason: GrantReason) -> None:
    alice, bob = player("alice"), player("bob")

    grant_tokens(player=alice, amount=2, reason=reason, source="s", referred=bob)

    assert alice.heist_notifications.get().message not in ("", "TOKEN_EARNED")


@pytest.mark.parametrize("amount", [0, -1, 1.5, "3", True, None, 2**31])
def test_an_amount_out_of_range_grants_nothing(amount: Any) -> None:
    alice = player("alice")

    with pytest.raises(InvalidGrant):
        grant_tokens(player=alice, amount=amount, reason=GrantReason.STAFF, source="s")

    assert not TokenGrant.objects.exists()


@pytest.mark.parametrize("source", ["", "x" * 256, "nul\x00", "correction:1", "refund:", "refund:12"])
def test_an_invalid_source_grants_nothing(source: str) -> None:
    with pytest.raises(InvalidGrant):
        grant_tokens(player=player("alice"), amount=1, reason=GrantReason.STAFF, source=source)


def test_what_is_earned_is_the_sum_of_the_grants() -> None:
    alice = player("alice")

    for number in (1, 2, 3):
        grant_tokens(player=alice, amount=number, reason=GrantReason.PROMOTION, source=f"s:{number}")

    assert tokens_of(alice).total_earned == TokenGrant.objects.aggregate(sum=Sum("amount"))["sum"] == 6


def test_tokens_inside_a_hosts_transaction_are_earned_exactly_if_it_commits() -> None:
    alice, bob = player("alice"), player("bob")
    referral: dict[str, Any] = {"reason": GrantReason.REFERRAL, "referred": bob}

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add_tokens(player=alice, amount=1, source="referral:1", **referral)
        raise ZeroDivisionError
    with transaction.atomic():
        add_tokens(player=alice, amount=1, source="referral:2", **referral)

    assert TokenGrant.objects.get().source == "referral:2"
    assert tokens_of(alice).balance == 1


def test_a_site_without_referral_tokens_adds_none() -> None:
    alice = player("alice")

    with transaction.atomic():
        assert add_tokens(player=alice, amount=0, reason=GrantReason.REFERRAL, source="referral:1") is None

    assert not TokenGrant.objects.exists()


def test_adding_outside_a_transaction_is_an_error(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="grant_tokens"):
        add_tokens(player=player("alice"), amount=1, reason=GrantReason.REFERRAL, source="referral:1")


def test_a_grant_writes_an_email_for_a_player_with_an_address(heist_settings: HeistSettings) -> None:
    grant_tokens(player=player("alice"), amount=1, reason=GrantReason.STAFF, source="a")
    grant_tokens(player=player("bob", email="bob@example.com"), amount=1, reason=GrantReason.STAFF, source="b")
    heist_settings(EMAIL_ENABLED=False)
    grant_tokens(player=player("carol", email="carol@example.com"), amount=1, reason=GrantReason.STAFF, source="c")

    assert OutboxEmail.objects.get().notification.user.get_username() == "bob"
