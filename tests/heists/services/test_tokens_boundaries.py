"""What a grant writes, to the last column; what it leaves alone; and the bounds of its values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import transaction

from heists import signals
from heists.choices import GrantReason
from heists.errors import InvalidGrant
from heists.models import HeistNotification, HeistToken, TokenGrant
from heists.services import add_tokens, grant_tokens
from tests.factories import player, tokens_of

from .elsewhere import only
from .lost_answers import lose_the_answer

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def frozen() -> Iterator[None]:
    with mock.patch("django.utils.timezone.now", lambda: NOW):
        yield


def granted(user: Any, amount: Any = 1, *, source: str = "a", **fields: Any) -> TokenGrant:
    return grant_tokens(player=user, amount=amount, source=source, **{"reason": GrantReason.STAFF, **fields})


def test_the_row_of_a_grant_has_every_column(frozen: None) -> None:
    alice, staff = player("alice"), player("staff")

    granted(alice, 3, source="ticket:7", granted_by=staff, note="an outage")

    row = TokenGrant.objects.values().get()
    assert row == {
        "id": row["id"],
        "player_id": alice.pk,
        "amount": 3,
        "reason": "STAFF",
        "source": "ticket:7",
        "note": "an outage",
        "granted_by_id": staff.pk,
        "granted_by_name": "staff",
        "created_at": NOW,
    }


def test_a_grant_without_more_has_an_empty_note_and_no_author() -> None:
    alice, bob = player(), player()
    granted(alice)
    with transaction.atomic():
        add_tokens(player=bob, amount=1, reason=GrantReason.STAFF, source="b")

    assert [(grant.note, grant.granted_by) for grant in TokenGrant.objects.all()] == [("", None)] * 2


def test_tokens_added_in_a_transaction_keep_note_and_author(frozen: None) -> None:
    alice, staff = player(), player()

    with transaction.atomic():
        add_tokens(player=alice, amount=2, reason=GrantReason.STAFF, source="b", note="why", granted_by=staff)

    row = TokenGrant.objects.get()
    assert (row.amount, row.note, row.granted_by, row.created_at) == (2, "why", staff, NOW)


def test_a_grant_adds_to_the_player_alone(frozen: None) -> None:
    alice, bob = player(tokens=4), player(tokens=5)
    HeistToken.objects.update(updated_at=NOW - HOUR, last_earned_at=NOW - HOUR)

    granted(alice, 2)

    token, other = tokens_of(alice), tokens_of(bob)
    assert (token.balance, token.total_earned, token.total_spent) == (6, 6, 0)
    assert (token.last_earned_at, token.updated_at) == (NOW, NOW)
    assert (other.balance, other.total_earned, other.last_earned_at) == (5, 5, NOW - HOUR)
    assert other.updated_at == NOW - HOUR


def test_the_time_of_the_latest_grant_stays_where_an_earlier_one_comes_second(frozen: None) -> None:
    alice = player(tokens=1)
    HeistToken.objects.update(last_earned_at=NOW + HOUR)

    granted(alice)

    assert tokens_of(alice).last_earned_at == NOW + HOUR


@pytest.mark.parametrize("amount", [1, 1_000_000])
def test_amounts_at_the_bounds_are_granted(amount: int) -> None:
    assert granted(player(), amount).amount == amount


@pytest.mark.parametrize("amount", [0, 1_000_001, True, 1.0, "1"])
def test_an_amount_out_of_bounds_is_rejected_with_the_bounds(amount: Any) -> None:
    with pytest.raises(InvalidGrant) as raised:
        granted(player(), amount)

    assert raised.value.details == {"code_detail": "amount", "minimum": 1, "maximum": 1_000_000}


def test_texts_of_255_characters_are_stored() -> None:
    grant = granted(player(), source="s" * 255, note="n" * 255)

    assert (grant.source, grant.note) == ("s" * 255, "n" * 255)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ({"source": ""}, "source"),
        ({"source": "s" * 256}, "source"),
        ({"source": "nul\x00"}, "source"),
        ({"note": "n" * 256}, "note"),
        ({"note": "nul\x00"}, "note"),
    ],
)
def test_a_text_out_of_bounds_is_named(texts: dict[str, str], name: str) -> None:
    values: dict[str, Any] = {"player": player(), "amount": 1, "reason": GrantReason.STAFF, "source": "a", **texts}

    for call in (grant_tokens, transaction.atomic(add_tokens)):
        with pytest.raises(InvalidGrant) as raised:
            call(**values)
        assert raised.value.details == {"code_detail": name}

    assert not TokenGrant.objects.exists()


@pytest.mark.parametrize("referred", [True, False])
def test_the_notification_of_a_grant_has_its_facts(frozen: None, referred: bool) -> None:
    alice, bob = player("alice"), player("bob")

    grant = granted(alice, 4, reason=GrantReason.REFERRAL, referred=bob if referred else None)

    notification = HeistNotification.objects.get()
    facts = {"grant_id": grant.pk, "reason": "REFERRAL", "amount": 4}
    assert notification.metadata == facts | ({"referred_id": bob.pk, "referred_name": "bob"} if referred else {})
    assert (notification.user_id, notification.type, notification.created_at) == (alice.pk, "TOKEN_EARNED", NOW)


@pytest.mark.parametrize("again", [True, False])
def test_every_statement_goes_to_the_database_of_the_grants(
    settings: Any, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    alice = player(email="alice@example.com")
    if again:
        granted(alice)
    only(TokenGrant, settings, monkeypatch)

    assert granted(alice).player_id == alice.pk
    with transaction.atomic("default"):
        added = add_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="b")

    assert added is not None


def test_receivers_get_each_grant_once(django_capture_on_commit_callbacks: Any) -> None:
    alice, heard = player(), []

    def listen(sender: Any, grant: TokenGrant, **kwargs: Any) -> None:
        heard.append((sender, grant.pk))

    signals.tokens_granted.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            grant = granted(alice)
            granted(alice)
            assert heard == []
    finally:
        signals.tokens_granted.disconnect(listen)

    assert heard == [(TokenGrant, grant.pk)]


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_fails_stops_no_hook_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, later = player(), mock.Mock()
    monkeypatch.setattr(signals.tokens_granted, "send_robust", mock.Mock(side_effect=OSError("disk full")))

    with transaction.atomic():
        add_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="a")
        transaction.on_commit(later)

    later.assert_called_once_with()


@pytest.mark.django_db(transaction=True)
def test_a_grant_whose_commit_is_not_answered_is_found_by_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player()
    lose_the_answer(monkeypatch)

    assert granted(alice, 3).amount == 3
    assert tokens_of(alice).balance == 3
