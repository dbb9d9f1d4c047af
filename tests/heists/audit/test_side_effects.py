"""Heists against point events, balances, notifications and emails: each clause, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from gamification.models import PlayerProfile
from heists.economy import MonthlyBalance, PointEventRow
from heists.models import AttemptLog, OutboxEmail

from .rows import DAY, MICRO, NOW, SECOND, blocked, found, grant, heist, notification, rejected, rule_set

ECONOMY = "gamification.economy.GamificationEconomy"


def events(monkeypatch: pytest.MonkeyPatch, *rows: tuple[int, Any, int]) -> None:
    """Let the host list these point events, and only those of the heists that it is asked for."""
    listed = [PointEventRow(heist_id, player.pk, points) for heist_id, player, points in rows]
    monkeypatch.setattr(f"{ECONOMY}.all_point_events", lambda self: iter(listed))
    monkeypatch.setattr(
        f"{ECONOMY}.point_events", lambda self, ids: [event for event in listed if event.heist_id in ids]
    )


def test_a_success_has_one_event_for_each_side(people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, rules = people.alice, people.bob, rule_set()
    row = heist(alice, bob, rules)
    blocked(alice, bob, rules), rejected(alice, bob, rules)

    def reported(*rows: tuple[Any, int]) -> list[str]:
        events(monkeypatch, *((row.pk, player, points) for player, points in rows))
        return found("transfer_events")

    gain, loss = (alice, 50), (bob, -50)
    of_alice, of_bob = (f"heist {row.pk}, player {player.pk}: status SUCCESS, expected " for player in (alice, bob))
    assert reported(gain, loss) == []
    assert reported(loss) == [of_alice + "[50], found []"]
    assert reported(gain) == [of_bob + "[-50], found []"]
    assert reported(gain, loss, loss) == [of_bob + "[-50], found [-50, -50]"]
    assert reported((alice, 49), loss) == [of_alice + "[50], found [49]"]
    assert reported(gain, (bob, 50)) == [of_bob + "[-50], found [50]"]
    assert reported(gain, loss, (people.carol, 1)) == [
        f"heist {row.pk}, player {people.carol.pk}: status SUCCESS, expected [], found [1]"
    ]
    assert reported((alice, -50), (bob, 50)) == sorted([of_alice + "[50], found [-50]", of_bob + "[-50], found [50]"])


@pytest.mark.parametrize("write", [blocked, rejected])
def test_a_heist_that_stole_nothing_has_no_event(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    honest, row = heist(people.alice, people.bob, rule_set()), write(people.alice, people.bob, rule_set())
    events(monkeypatch, (honest.pk, people.alice, 50), (honest.pk, people.bob, -50), (row.pk, people.alice, 5))

    assert found("transfer_events") == [
        f"heist {row.pk}, player {people.alice.pk}: status {row.status}, expected [], found [5]"
    ]


def test_every_heist_is_compared_however_few_are_read_at_once(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heists.audit.base.CHUNK_ROWS", 2)
    rules = rule_set()
    honest = heist(people.alice, people.bob, rules)
    wrong = [heist(people.alice, people.bob, rules) for _ in range(4)]
    events(monkeypatch, (honest.pk, people.alice, 50), (honest.pk, people.bob, -50))

    assert {row.split(",")[0] for row in found("transfer_events")} == {f"heist {row.pk}" for row in wrong}


def test_an_event_names_a_heist_that_was_once_inserted(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = people.alice, people.bob
    monkeypatch.setattr("heists.audit.side_effects.CHUNK_ROWS", 2)
    unlogged = heist(alice, bob, rule_set(), pk=9000)
    AttemptLog.objects.bulk_create(
        [
            AttemptLog(heist_id=700),
            AttemptLog(heist_id=400),
            AttemptLog(heist_id=800, attacker=alice, victim=bob, deleted=True),
            AttemptLog(heist_id=850, attacker=alice, victim=bob),
        ]
    )
    honest = [1, 400, 700, 800, 850, unlogged.pk]
    wrong = [0, -1, 701, 799, 801, 9001]
    events(monkeypatch, *((pk, alice, 5) for pk in [*honest, *wrong]), (701, bob, -5))

    assert found("event_without_heist") == sorted(
        [f"heist {pk}, player {alice.pk}: points 5" for pk in wrong] + [f"heist 701, player {bob.pk}: points -5"]
    )


def test_without_an_earlier_installation_an_event_of_a_small_number_is_reported(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    events(monkeypatch, (1, people.alice, 5))

    assert found("event_without_heist") == [f"heist 1, player {people.alice.pk}: points 5"]


def test_a_balance_is_what_the_ledger_adds_up_to(people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.audit.base.CHUNK_ROWS", 2)
    asked: list[Any] = []
    ledger = {people.alice.pk: 10, people.bob.pk: 20, people.carol.pk: 0}

    def balances(self: Any, ids: Any) -> dict[Any, int]:
        asked.extend(ids)
        return {pk: points for pk, points in ledger.items() if pk in ids}

    monkeypatch.setattr(f"{ECONOMY}.ledger_balances", balances)
    for owner, points in ((people.alice, 11), (people.bob, 20), (people.dora, 1)):
        PlayerProfile.objects.create(user=owner, monthly_points=points)

    assert found("balance_ledger") == [
        f"player {people.alice.pk}: monthly_points 11, ledger 10",
        f"player {people.dora.pk}: monthly_points 1, ledger 0",
    ]
    assert asked == sorted(user.pk for user in vars(people).values())


def test_the_points_of_each_month_are_what_its_ledger_adds_up_to(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heists.audit.base.CHUNK_ROWS", 2)
    april, may = dt.date(2026, 4, 1), dt.date(2026, 5, 1)
    asked: list[Any] = []
    kept = {
        people.alice.pk: [(april, 11, 10), (may, 20, 20)],
        people.bob.pk: [(april, 0, 0)],
        people.dora.pk: [(april, 0, 7), (may, 8, 0)],
    }

    def balances(self: Any, ids: Any) -> list[MonthlyBalance]:
        asked.extend(ids)
        return [MonthlyBalance(pk, *balance) for pk in ids for balance in kept.get(pk, ())]

    monkeypatch.setattr(f"{ECONOMY}.monthly_balances", balances)

    assert found("month_ledger") == [
        f"player {people.alice.pk}, month 2026-04-01: points 11, ledger 10",
        f"player {people.dora.pk}, month 2026-04-01: points 0, ledger 7",
        f"player {people.dora.pk}, month 2026-05-01: points 8, ledger 0",
    ]
    assert asked == sorted(user.pk for user in vars(people).values())


@pytest.mark.parametrize(
    ("hook", "code", "words"),
    [
        ("point_events", "transfer_events", "keeps no point events"),
        ("all_point_events", "event_without_heist", "does not list all point events"),
        ("ledger_balances", "balance_ledger", "has no ledger of its own"),
        ("monthly_balances", "month_ledger", "keeps no points of past months"),
        ("shield_payments", "shield_unpaid", "does not list payments for shields"),
    ],
)
def test_a_check_without_its_hook_is_skipped_and_says_so(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, hook: str, code: str, words: str
) -> None:
    from heists.audit import Skipped

    from .rows import shield

    heist(people.alice, people.bob, rule_set()), shield(people.alice)
    monkeypatch.setattr(f"{ECONOMY}.{hook}", lambda self, *ids: None)

    with pytest.raises(Skipped, match=f"^the economy {words}$"):
        found(code)


# Of a success against bob by alice, and of a block: type, owner.
OWED = {
    "success": [("HEIST_SUCCESS", "alice"), ("HEIST_VICTIM", "bob")],
    "block": [("SHIELD_ACTIVATED", "bob")],
    "rejection": [],
}
WRITE = {"success": heist, "block": blocked, "rejection": rejected}
EVERY = [
    (type, owner)
    for type in ("HEIST_SUCCESS", "HEIST_VICTIM", "SHIELD_ACTIVATED", "TOKEN_EARNED", "SHIELD_EXPIRED")
    for owner in ("alice", "bob", "carol")
]


@pytest.mark.parametrize("kind", OWED)
def test_each_notification_that_is_owed_is_missed_unless_it_is_there(people: SimpleNamespace, kind: str) -> None:
    rules, other = rule_set(), WRITE[kind](people.alice, people.bob, rule_set())
    for type, owner in EVERY:
        notification(getattr(people, owner), type, other)
    row = WRITE[kind](people.alice, people.bob, rules)
    # Those to others, and of other types, are no substitute.
    for type, owner in EVERY:
        if (type, owner) not in OWED[kind]:
            notification(getattr(people, owner), type, row)
            notification(getattr(people, owner), type)

    assert found("notification_missing") == sorted(
        f"heist {row.pk}, player {getattr(people, owner).pk}: type {type}, created_at {NOW}"
        for type, owner in OWED[kind]
    )


@pytest.mark.parametrize("kind", OWED)
def test_a_notification_that_is_not_owed_is_a_stray_one(people: SimpleNamespace, kind: str) -> None:
    row, expected = WRITE[kind](people.alice, people.bob, rule_set()), []
    for type, owner in EVERY:
        about = notification(getattr(people, owner), type, row)
        notification(getattr(people, owner), type)
        if (type, owner) not in OWED[kind]:
            expected.append(
                f"notification {about.pk}, player {getattr(people, owner).pk}, heist {row.pk}:"
                f" type {type}, heist status {row.status}"
            )

    assert found("notification_stray") == sorted(expected)


@pytest.mark.parametrize(("late", "owed"), [(-MICRO, True), (dt.timedelta(), False), (MICRO, False)])
@pytest.mark.parametrize("read_first", [True, False])
def test_what_may_have_been_pruned_is_not_missed(
    people: SimpleNamespace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    late: dt.timedelta,
    owed: bool,
    read_first: bool,
) -> None:
    days = (30, 90) if read_first else (90, 30)
    settings.HEISTS = settings.HEISTS | dict(zip(("RETENTION_READ_DAYS", "RETENTION_UNREAD_DAYS"), days, strict=True))
    # A host whose clock is a second ahead prunes a second early.
    monkeypatch.setattr(timezone, "now", lambda: NOW + 30 * DAY - SECOND + late)
    heist(people.alice, people.bob, rule_set())
    grant(people.alice)

    assert len(found("notification_missing")) == (2 if owed else 0)
    assert len(found("grant_notification_missing")) == (1 if owed else 0)


@pytest.mark.parametrize("days", [(0, 30), (30, 0)])
def test_a_retention_of_0_prunes_nothing(people: SimpleNamespace, settings: Any, monkeypatch: Any, days: Any) -> None:
    settings.HEISTS = settings.HEISTS | dict(zip(("RETENTION_READ_DAYS", "RETENTION_UNREAD_DAYS"), days, strict=True))
    monkeypatch.setattr(timezone, "now", lambda: NOW + 29 * DAY)
    grant(people.alice)
    assert found("grant_notification_missing")
    monkeypatch.setattr(timezone, "now", lambda: NOW + 31 * DAY)
    assert not found("grant_notification_missing")

    settings.HEISTS = settings.HEISTS | {"RETENTION_READ_DAYS": 0, "RETENTION_UNREAD_DAYS": 0}
    monkeypatch.setattr(timezone, "now", lambda: NOW + 9999 * DAY)
    assert found("grant_notification_missing")


def test_a_notification_of_a_type_about_a_heist_is_there_once_for_each_player(people: SimpleNamespace) -> None:
    rules = rule_set()
    first, second = (heist(people.alice, people.bob, rules) for _ in range(2))
    for about in (first, second):
        notification(people.alice, "HEIST_SUCCESS", about)
        notification(people.bob, "HEIST_VICTIM", about)
        notification(people.alice, "HEIST_VICTIM", about)
    for _ in range(2):
        notification(people.alice, "TOKEN_EARNED")
    assert found("notification_twice") == []

    for _ in range(2):
        notification(people.bob, "HEIST_VICTIM", second)
    assert found("notification_twice") == [f"heist {second.pk}, player {people.bob.pk}: type HEIST_VICTIM, times 3"]


@pytest.mark.parametrize(
    ("metadata", "points"), [({"points": 7}, "7"), ({"points": 500}, "500"), ({}, "none"), (None, "none")]
)
def test_a_notification_of_a_success_has_the_points_that_moved(
    people: SimpleNamespace, metadata: Any, points: str
) -> None:
    rules = rule_set()
    row = heist(people.alice, people.bob, rules)
    notification(people.alice, "HEIST_SUCCESS", row, metadata={"points": 50})
    notification(people.bob, "SHIELD_ACTIVATED", blocked(people.alice, people.bob, rules), metadata={})
    notification(people.bob, "TOKEN_EARNED", metadata={})
    wrong = notification(people.bob, "HEIST_VICTIM", row, metadata=metadata)

    assert found("notification_points") == [f"notification {wrong.pk}, heist {row.pk}: points {points}, moved 50"]


def test_a_grant_has_a_notification_to_its_player(people: SimpleNamespace) -> None:
    honest = grant(people.alice)
    notification(people.alice, "TOKEN_EARNED", metadata={"grant_id": honest.pk})
    other, type, number = grant(people.alice, 2), grant(people.alice, 3), grant(people.alice, 4)
    notification(people.bob, "TOKEN_EARNED", metadata={"grant_id": other.pk})
    notification(people.alice, "SHIELD_EXPIRED", metadata={"grant_id": type.pk})
    notification(people.alice, "TOKEN_EARNED", metadata={"grant_id": number.pk + 1})

    assert found("grant_notification_missing") == sorted(
        f"grant {row.pk}, player {people.alice.pk}: amount {row.amount}, reason STAFF, created_at {NOW}"
        for row in (other, type, number)
    )


@pytest.mark.parametrize("state", ["WAITING", "SENT", "SKIPPED", "FAILED"])
@pytest.mark.parametrize("sent", [True, False])
def test_email_sent_is_set_exactly_where_the_email_was_sent(people: SimpleNamespace, state: str, sent: bool) -> None:
    about = notification(people.alice, "TOKEN_EARNED", email_sent=sent, email_sent_at=NOW)
    email = OutboxEmail.objects.create(notification=about, state=state)

    assert found("email_state") == (
        []
        if sent == (state == "SENT")
        else [f"notification {about.pk}, email {email.pk}: state {state}, notification email_sent {sent}"]
    )
