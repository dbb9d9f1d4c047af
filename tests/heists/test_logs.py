"""Each attempt logs one structured line, and receivers of signals can't undo it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection, transaction

from heists import signals
from heists.choices import GrantReason
from heists.models import Heist
from heists.services import add_tokens, execute_heist, grant_tokens
from tests.factories import player, points_of

pytestmark = pytest.mark.django_db(transaction=True)


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "heists" and hasattr(record, "heist_id")]


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "heists")


def test_an_outcome_and_a_rejection_are_one_line_each(caplog: Any) -> None:
    alice, bob = player(tokens=2), player(points=1000)

    won = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="203.0.113.9", idempotency_key="secret-key")
    lost = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert [line.getMessage() for line in lines(caplog)] == [
        f"heist={won.pk} attacker={alice.pk} victim={bob.pk} status=SUCCESS code=- points=50",
        f"heist={lost.pk} attacker={alice.pk} victim={bob.pk} status=FAILED_COOLDOWN code=cooldown points=0",
    ]
    assert lines(caplog)[0].points_stolen == 50  # type: ignore[attr-defined]


def test_a_replay_is_no_second_attempt_and_no_second_line(caplog: Any) -> None:
    alice, bob = player(tokens=2), player(points=1000)

    for _ in range(2):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="key")

    assert len(lines(caplog)) == 1


def test_no_address_key_or_token_is_in_the_log(api: Any, caplog: Any) -> None:
    from knox.models import get_token_model

    alice, bob = player(tokens=1, email="alice@example.com"), player(points=1000)
    secret = get_token_model().objects.create(user=alice)[1]
    headers = {"Authorization": f"Token {secret}", "Idempotency-Key": "a-secret-key"}

    answer = api.post("/api/heists/", {"victim": bob.pk}, format="json", headers=headers, REMOTE_ADDR="203.0.113.77")

    assert answer.status_code == 201
    assert Heist.objects.get().ip_address == "203.0.113.77"
    logged = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for private in ("203.0.113.77", "a-secret-key", secret, "alice@example.com"):
        assert private not in logged


def test_a_receiver_runs_after_the_commit_and_its_exception_undoes_nothing(caplog: Any) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heard: list[Any] = []

    def listen(sender: Any, heist: Heist, **kwargs: Any) -> None:
        heard.append((heist.pk, connection.in_atomic_block, points_of(bob)))
        raise ZeroDivisionError

    signals.heist_attempted.connect(listen)
    try:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    finally:
        signals.heist_attempted.disconnect(listen)

    assert heard == [(heist.pk, False, 950)]
    assert points_of(bob) == 950


def test_a_rolled_back_grant_sends_no_signal() -> None:
    alice, heard = player(), []

    def listen(sender: Any, grant: Any, **kwargs: Any) -> None:
        heard.append(grant.source)
        raise ZeroDivisionError

    signals.tokens_granted.connect(listen)
    try:
        with pytest.raises(KeyError), transaction.atomic():
            add_tokens(player=alice, amount=1, reason=GrantReason.PROMOTION, source="undone")
            raise KeyError
        grant_tokens(player=alice, amount=1, reason=GrantReason.PROMOTION, source="done")
    finally:
        signals.tokens_granted.disconnect(listen)

    assert heard == ["done"]
