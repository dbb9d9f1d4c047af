"""Staff take a grant back that was a mistake (docs/specification.md, "Data")."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from heists import signals
from heists.choices import GrantReason
from heists.errors import (
    AlreadyTakenBack,
    AmountChanged,
    InvalidGrant,
    NotCorrectable,
    NothingLeft,
    OutcomeUnknown,
    UnknownGrant,
)
from heists.models import HeistNotification, TokenGrant
from heists.services import add_tokens, execute_heist, grant_tokens, take_back
from heists.services.tokens import amount_to_take_back
from tests.factories import player, tokens_of

from .lost_answers import fail_the_commit, lose_the_answer

pytestmark = pytest.mark.django_db


def granted(user: Any, amount: int = 3, source: str = "a") -> TokenGrant:
    return grant_tokens(player=user, amount=amount, reason=GrantReason.STAFF, source=source)


def taken(grant: TokenGrant, **arguments: Any) -> TokenGrant:
    return take_back(**({"grant": grant, "by": None, "reason": "the wrong player"} | arguments))


def test_a_grant_is_taken_back_by_a_negative_one() -> None:
    alice, staff = player("alice", tokens=2), player("staff")
    grant = granted(alice, 3)
    before = tokens_of(alice)

    correction = taken(grant, by=staff)

    after = tokens_of(alice)
    assert (after.balance, after.total_earned, after.total_spent) == (2, 2, 0)
    assert after.last_earned_at == before.last_earned_at
    assert after.updated_at == correction.created_at > before.updated_at
    assert (correction.player, correction.amount, correction.reason) == (alice, -3, GrantReason.CORRECTION)
    assert (correction.source, correction.note) == (f"correction:{grant.pk}", "the wrong player")
    assert (correction.granted_by, correction.granted_by_name) == (staff, "staff")
    assert TokenGrant.objects.correction_of(grant) == correction
    assert HeistNotification.objects.count() == 2  # of the two grants


def test_no_more_is_taken_than_the_balance() -> None:
    alice = player(tokens=1)
    grant = granted(alice, 3)
    execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)

    assert amount_to_take_back(grant) == 3
    execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)
    taken(granted(alice, 1, source="b"))

    token = tokens_of(alice)
    assert (token.balance, token.total_earned, token.total_spent) == (3, 4, 1)
    assert taken(grant).amount == -3


def test_only_what_is_left_is_taken() -> None:
    player(tokens=9)
    alice = player(tokens=0)
    grant = granted(alice, 3)
    execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)

    assert amount_to_take_back(grant) == 2
    correction = taken(grant)

    token = tokens_of(alice)
    assert correction.amount == -2
    assert (token.balance, token.total_earned, token.total_spent) == (0, 1, 1)


def test_with_an_empty_balance_nothing_is_taken() -> None:
    alice = player(tokens=0)
    grant = granted(alice, 1)
    execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)

    with pytest.raises(NothingLeft) as raised:
        taken(grant)

    assert raised.value.code == "nothing_left"
    assert raised.value.details == {"required": 1, "available": 0}


def test_a_grant_is_taken_back_once() -> None:
    alice, staff = player(tokens=5), player("staff")
    grant = granted(alice, 3)
    first = taken(grant, by=staff)

    with pytest.raises(AlreadyTakenBack) as raised:
        taken(grant)

    assert raised.value.code == "already_taken_back"
    assert raised.value.details == {"tokens": 3, "at": first.created_at, "by": "staff"}
    assert tokens_of(alice).balance == 5


def test_a_correction_is_not_taken_back() -> None:
    alice = player(tokens=5)
    correction = taken(granted(alice, 3))

    with pytest.raises(NotCorrectable) as raised:
        taken(correction)

    assert raised.value.code == "not_correctable"
    assert tokens_of(alice).balance == 5


def test_where_the_amount_changed_nothing_is_taken() -> None:
    alice = player()
    grant = granted(alice, 3)

    with pytest.raises(AmountChanged) as raised:
        taken(grant, expected_amount=2)

    assert raised.value.details == {"expected": 2, "available": 3}
    assert tokens_of(alice).balance == 3
    assert taken(grant, expected_amount=3).amount == -3


def test_the_grant_of_a_deleted_player_is_unknown() -> None:
    alice, bob = player(), player(tokens=1)
    grant = granted(alice)
    alice.delete()
    # As if another player had got the key.
    other = TokenGrant(pk=grant.pk, player=bob, amount=1, reason=GrantReason.STAFF)

    for gone in (grant, other):
        with pytest.raises(UnknownGrant):
            taken(gone)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256, "nul\x00"])
def test_a_reason_out_of_range_takes_nothing(reason: str) -> None:
    alice = player()
    grant = granted(alice)

    with pytest.raises(InvalidGrant) as raised:
        taken(grant, reason=reason)

    assert raised.value.details == {"code_detail": "note"}
    assert tokens_of(alice).balance == 3
    assert taken(grant, reason="x" * 255).amount == -3


def test_callers_grant_no_correction() -> None:
    alice = player()

    with pytest.raises(InvalidGrant) as raised:
        grant_tokens(player=alice, amount=1, reason=GrantReason.CORRECTION, source="s")
    with pytest.raises(InvalidGrant), transaction.atomic():
        add_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="refund:9")

    assert raised.value.details == {"code_detail": "reason"}
    assert not TokenGrant.objects.exists()


def test_the_name_of_who_granted_stays_when_the_account_is_deleted() -> None:
    alice, staff = player(), player("staff")
    grant = grant_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="s", granted_by=staff)

    staff.delete()

    grant.refresh_from_db()
    assert (grant.granted_by, grant.granted_by_name) == (None, "staff")


def test_the_signal_comes_after_the_commit(django_capture_on_commit_callbacks: Any) -> None:
    grant, received = granted(player()), []

    def receive(sender: Any, correction: TokenGrant, **kwargs: Any) -> None:
        received.append(correction)

    signals.grant_taken_back.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            correction = taken(grant)
            assert not received
    finally:
        signals.grant_taken_back.disconnect(receive)

    assert received == [correction]


def test_taking_back_needs_a_transaction_of_its_own() -> None:
    grant = granted(player())

    # Whatever else is wrong.
    for reason in ("the wrong player", ""):
        with transaction.atomic(), pytest.raises(RuntimeError, match="nested"):
            taken(grant, reason=reason)


@pytest.mark.django_db(transaction=True)
def test_a_correction_whose_commit_is_not_answered_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player()
    grant = granted(alice)
    lose_the_answer(monkeypatch)

    with pytest.raises(OutcomeUnknown):
        taken(grant)

    assert tokens_of(alice).balance == 0


@pytest.mark.django_db(transaction=True)
def test_a_correction_that_fails_at_commit_for_others_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player()
    grant = granted(alice)
    fail_the_commit(monkeypatch, "40001")

    assert taken(grant).amount == -3
    assert tokens_of(alice).balance == 0


@pytest.mark.django_db(transaction=True)
def test_the_token_row_is_locked_before_it_is_judged() -> None:
    player(tokens=1)
    alice = player()
    grant = granted(alice)

    with CaptureQueriesContext(connection) as statements:
        taken(grant)

    sql = [statement["sql"] for statement in statements]
    # BEGIN, the lock, the grant, its correction, the new row, the balance, COMMIT.
    assert len(sql) == 7
    assert "heists_heisttoken" in sql[1] and f'"user_id" = {alice.pk}' in sql[1]
    if connection.vendor == "postgresql":
        assert sql[1].endswith("FOR NO KEY UPDATE")


@pytest.mark.parametrize(("reason", "amount"), [("CORRECTION", 1), ("CORRECTION", 0), ("STAFF", -1), ("REFUND", 0)])
def test_only_a_correction_is_negative(reason: str, amount: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        TokenGrant.objects.create(player=player(), amount=amount, reason=reason, source="s")


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_fails_stops_no_hook_after_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    grant = granted(player())
    failing = mock.Mock(side_effect=OSError("disk full"))
    monkeypatch.setattr(signals.grant_taken_back, "send_robust", failing)

    assert taken(grant).pk
    failing.assert_called_once()
    # Django has logged it, and gone on: it ended no transaction of the service.
    assert "heists" not in {record.name for record in caplog.records}
