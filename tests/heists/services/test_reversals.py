"""Staff return the points of a heist (docs/specification.md, "Reversals")."""

from __future__ import annotations

import datetime as dt
from dataclasses import FrozenInstanceError
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile, PointEvent
from heists import signals
from heists.choices import GrantReason, HeistNotificationType
from heists.economy import Economy
from heists.errors import (
    AlreadyReversed,
    AmountChanged,
    AnotherMonth,
    BalanceFull,
    HeistError,
    InvalidReversal,
    NoReversals,
    NotASuccess,
    NothingLeft,
    OutcomeUnknown,
    UnknownHeist,
)
from heists.models import Heist, OutboxEmail, Reversal, TokenGrant
from heists.rules import MAX_POINTS
from heists.services import execute_heist, reverse_heist
from heists.services.reversals import plan_reversal
from tests.conftest import HeistSettings
from tests.factories import player, points_of, rewrite, tokens_of

from .elsewhere import only
from .lost_answers import fail_the_commit, lose_the_answer

pytestmark = pytest.mark.django_db

DAY = dt.timedelta(days=1)


def robbed(attacker: Any, victim: Any) -> Heist:
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    assert heist.points_stolen
    return heist


def returned(heist: Heist, **arguments: Any) -> Reversal:
    return reverse_heist(heist_id=heist.pk, **({"reversed_by": None, "reason": "a bug"} | arguments))


def set_points(user: Any, points: int) -> None:
    """Give the player exactly these points, with the point event that explains it."""
    change = points - points_of(user)
    PointEvent.objects.create(user=user, type_id="CHECKIN", points=change)
    QuerySet.update(PlayerProfile.objects.filter(user=user), monthly_points=points)


def events(heist: Heist) -> set[tuple[int, str, int]]:
    rows = PointEvent.objects.filter(reference=f"reversal:{heist.pk}")
    return set(rows.values_list("user_id", "type_id", "points"))


def test_the_points_go_back_and_both_players_are_notified() -> None:
    alice, bob, staff = player("alice", points=100, tokens=1), player("bob", points=1000), player("staff")
    heist = robbed(alice, bob)

    reversal = returned(heist, reversed_by=staff, reason="played from two accounts", note="Please do not do that.")

    assert (points_of(alice), points_of(bob)) == (100, 1000)
    assert (reversal.heist, reversal.points_returned, reversal.token_returned) == (heist, 50, False)
    assert (reversal.attacker_points_before, reversal.attacker_points_after) == (150, 100)
    assert (reversal.victim_points_before, reversal.victim_points_after) == (950, 1000)
    assert (reversal.reversed_by, reversal.reversed_by_name) == (staff, "staff")
    assert (reversal.reason, reversal.note) == ("played from two accounts", "Please do not do that.")
    assert events(heist) == {(alice.pk, "HEIST_GAIN", -50), (bob.pk, "HEIST_LOSS", 50)}
    for user in (alice, bob):
        notification = user.heist_notifications.get(type=HeistNotificationType.HEIST_REVERSED)
        assert notification.message == (
            "The team reversed a heist: bob got back 50 points that alice had stolen."
            " The team writes: Please do not do that."
        )
        assert (notification.heist, notification.created_at) == (heist, reversal.created_at)
        numbers = {"points": 50, "attacker_id": alice.pk, "victim_id": bob.pk}
        assert {name: notification.metadata[name] for name in numbers} == numbers
        assert "played from two accounts" not in str(notification.metadata)


def test_without_a_note_the_notification_is_the_sentence_alone() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)

    returned(robbed(alice, bob))

    notification = bob.heist_notifications.get(type=HeistNotificationType.HEIST_REVERSED)
    assert notification.message == "The team reversed a heist: bob got back 50 points that alice had stolen."
    assert "note" not in notification.metadata


def test_each_player_with_an_address_gets_an_email() -> None:
    alice, bob = player(tokens=1), player(points=1000, email="bob@example.com")

    returned(robbed(alice, bob))

    emails = OutboxEmail.objects.filter(notification__type=HeistNotificationType.HEIST_REVERSED)
    assert [email.notification.user for email in emails] == [bob]


def test_no_more_is_returned_than_the_attacker_has() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    set_points(alice, 20)

    reversal = returned(heist)

    assert reversal.points_returned == 20
    assert (points_of(alice), points_of(bob)) == (0, 970)


def test_nothing_is_returned_where_the_attacker_has_nothing() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    set_points(alice, 0)

    with pytest.raises(NothingLeft) as raised:
        returned(heist)

    assert raised.value.details == {"required": 50, "available": 0}
    assert points_of(bob) == 950


def test_a_heist_is_reversed_once() -> None:
    alice, bob, staff = player(points=500, tokens=1), player(points=1000), player("staff")
    heist = robbed(alice, bob)
    first = returned(heist, reversed_by=staff)

    with pytest.raises(AlreadyReversed) as raised:
        returned(heist)

    assert raised.value.details == {"points": 50, "at": first.created_at, "by": "staff"}
    assert (points_of(alice), points_of(bob)) == (500, 1000)
    assert bob.heist_notifications.filter(type=HeistNotificationType.HEIST_REVERSED).count() == 1


@pytest.mark.parametrize("points", [5, 1000])
def test_only_a_success_is_reversed(points: int, heist_settings: HeistSettings) -> None:
    alice, bob = player(), player(points=points)
    rejected = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    with pytest.raises(NotASuccess):
        returned(rejected)


@pytest.mark.parametrize("pk", [0, -1, 12345, 2**63, 2**70])
def test_an_unknown_heist_is_not_reversed(pk: int) -> None:
    with pytest.raises(UnknownHeist):
        reverse_heist(heist_id=pk, reversed_by=None, reason="a bug")


def test_a_heist_is_reversed_in_its_own_month_only(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    rewrite(heist, created_at=dt.datetime(2026, 3, 15, tzinfo=dt.UTC))
    end = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)

    monkeypatch.setattr(timezone, "now", lambda: end)
    with pytest.raises(AnotherMonth) as raised:
        returned(heist)
    monkeypatch.setattr(timezone, "now", lambda: end - dt.timedelta(microseconds=1))
    reversal = returned(heist)

    assert raised.value.details == {"ended_at": end}
    assert reversal.created_at == end - dt.timedelta(microseconds=1)


def test_the_month_is_that_of_the_zone_in_which_the_heist_was_judged(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    settings.TIME_ZONE = "UTC"
    # In Auckland it is already May.
    rewrite(heist, created_at=dt.datetime(2026, 4, 30, 20, tzinfo=dt.UTC))

    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2026, 5, 20, tzinfo=dt.UTC))

    assert returned(heist).points_returned == 50


def test_the_clock_is_read_under_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    rewrite(heist, created_at=dt.datetime(2026, 3, 15, tzinfo=dt.UTC))
    clock = [dt.datetime(2026, 3, 31, 23, tzinfo=dt.UTC)]
    monkeypatch.setattr(timezone, "now", lambda: clock[0])
    lock = GamificationEconomy.lock

    def waiting(self: Any, *ids: Any) -> None:
        lock(self, *ids)
        clock[0] += dt.timedelta(hours=1)

    monkeypatch.setattr(GamificationEconomy, "lock", waiting)
    with pytest.raises(AnotherMonth):
        returned(heist)

    assert points_of(bob) == 950


def test_where_the_amount_changed_nothing_is_returned() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    set_points(alice, 20)

    with pytest.raises(AmountChanged) as raised:
        returned(heist, expected_points=50)

    assert raised.value.details == {"expected": 50, "available": 20}
    assert not Reversal.objects.exists()
    assert returned(heist, expected_points=20).points_returned == 20


def test_the_token_is_given_back_on_request(heist_settings: HeistSettings) -> None:
    heist_settings(TOKEN_COST=3)
    alice, bob, staff = player(tokens=4), player(points=1000), player("staff")
    heist = robbed(alice, bob)
    spent_at = tokens_of(alice).last_spent_at

    reversal = returned(heist, return_token=True, reversed_by=staff)

    token, refund = tokens_of(alice), TokenGrant.objects.get(source=f"refund:{heist.pk}")
    assert reversal.token_returned
    assert (token.balance, token.total_earned, token.total_spent, token.last_spent_at) == (4, 7, 3, spent_at)
    assert (refund.player, refund.amount, refund.reason, refund.note) == (alice, 3, GrantReason.REFUND, "a bug")
    assert (refund.granted_by, refund.granted_by_name) == (staff, "staff")
    assert alice.heist_notifications.filter(type=HeistNotificationType.TOKEN_EARNED).count() == 2


def test_a_heist_that_cost_no_token_gives_none_back(heist_settings: HeistSettings) -> None:
    heist_settings(TOKEN_COST=0)
    alice, bob = player(), player(points=1000)
    heist = robbed(alice, bob)

    reversal = returned(heist, return_token=True)

    assert not reversal.token_returned
    assert not TokenGrant.objects.exists()


def test_cooldown_and_protection_stay() -> None:
    alice, carol, bob, dora = player(tokens=2), player(tokens=1), player(points=1000), player(points=1000)

    returned(robbed(alice, bob), return_token=True)

    assert execute_heist(attacker_id=alice.pk, victim_id=dora.pk).failure_code == "cooldown"
    assert execute_heist(attacker_id=carol.pk, victim_id=bob.pk).failure_code == "protected"


def test_a_reversed_heist_counts_for_the_loss_limit(heist_settings: HeistSettings) -> None:
    heist_settings(MONTHLY_LOSS_PERCENT=6, TARGET_COOLDOWN_HOURS=0)
    alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)
    returned(robbed(alice, bob))

    heist = execute_heist(attacker_id=carol.pk, victim_id=bob.pk)

    # (1000 points now + 50 stolen) * 6 % - 50.
    assert heist.points_stolen == 13


def test_a_victim_with_the_most_points_can_not_get_more() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    set_points(bob, MAX_POINTS - 49)

    with pytest.raises(BalanceFull):
        returned(heist)
    set_points(bob, MAX_POINTS - 50)

    assert returned(heist).victim_points_after == MAX_POINTS


@pytest.mark.parametrize(
    ("name", "text"), [("reason", ""), ("reason", " "), ("reason", "x" * 256), ("note", "x" * 256), ("note", "\x00")]
)
def test_texts_out_of_range_return_nothing(name: str, text: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)

    with pytest.raises(InvalidReversal) as raised:
        returned(heist, **{name: text})

    assert raised.value.details == {"code_detail": name}
    assert returned(heist, reason="x" * 255, note="x" * 255).points_returned == 50


def test_an_economy_without_give_back_returns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    assert GamificationEconomy().can_give_back

    monkeypatch.setattr(GamificationEconomy, "give_back", Economy.give_back)

    assert not GamificationEconomy().can_give_back
    with pytest.raises(NoReversals):
        returned(heist)
    with pytest.raises(NoReversals):
        GamificationEconomy().give_back(Reversal())


def test_an_error_of_the_economy_rolls_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)

    def broken(self: Any, reversal: Reversal) -> None:
        raise RuntimeError("no ledger")

    monkeypatch.setattr(GamificationEconomy, "give_back", broken)
    with pytest.raises(RuntimeError, match="no ledger"):
        returned(heist, return_token=True)

    assert not Reversal.objects.exists()
    assert tokens_of(alice).balance == 0


def test_the_plan_is_what_the_reversal_does() -> None:
    alice, bob = player(points=7, tokens=1), player(points=1000)
    heist = robbed(alice, bob)

    plan: Any = plan_reversal(heist.pk)
    with pytest.raises(FrozenInstanceError):
        plan.points = 49
    reversal = returned(heist)

    assert (plan.heist, plan.points, plan.tokens) == (heist, 50, 1)
    assert (plan.attacker_points, plan.victim_points) == (57, 950)
    assert (reversal.attacker_points_before, reversal.victim_points_before) == (57, 950)
    with pytest.raises(AlreadyReversed):
        plan_reversal(heist.pk)


def test_the_name_of_a_deleted_member_of_staff_stays() -> None:
    alice, bob, staff = player(tokens=1), player(points=1000), player("staff")
    reversal = returned(robbed(alice, bob), reversed_by=staff, return_token=True)

    staff.delete()

    reversal.refresh_from_db()
    refund = TokenGrant.objects.get(reason=GrantReason.REFUND)
    assert (reversal.reversed_by, reversal.reversed_by_name) == (None, "staff")
    assert (refund.granted_by, refund.granted_by_name) == (None, "staff")


@pytest.mark.parametrize("side", ["attacker", "victim"])
def test_a_reversal_is_deleted_with_either_player(side: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    returned(heist, return_token=True)

    (alice if side == "attacker" else bob).delete()

    assert not Reversal.objects.exists()
    with pytest.raises(UnknownHeist):
        returned(heist)
    call_command("audit_heists")


def test_the_signal_and_the_log_line_come_after_the_commit(
    django_capture_on_commit_callbacks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    received: list[Reversal] = []

    def receive(sender: Any, reversal: Reversal, **kwargs: Any) -> None:
        received.append(reversal)

    signals.heist_reversed.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True), caplog.at_level("INFO", "heists"):
            reversal = returned(heist, reason="a secret")
            assert not received
    finally:
        signals.heist_reversed.disconnect(receive)

    assert received == [reversal]
    line = f"reversed heist={heist.pk} attacker={alice.pk} victim={bob.pk} points=50"
    (record,) = [record for record in caplog.records if "reversed" in record.getMessage()]
    assert record.getMessage() == line
    numbers = {"heist_id": heist.pk, "attacker_id": alice.pk, "victim_id": bob.pk, "points_returned": 50}
    assert {name: vars(record)[name] for name in numbers} == numbers


def test_a_reversal_needs_a_transaction_of_its_own() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)

    # Whatever else is wrong.
    for reason in ("a bug", ""):
        with transaction.atomic(), pytest.raises(RuntimeError, match="nested"):
            returned(heist, reason=reason)


@pytest.mark.django_db(transaction=True)
def test_a_reversal_whose_commit_is_not_answered_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    lose_the_answer(monkeypatch)

    with pytest.raises(OutcomeUnknown):
        returned(heist)

    assert Reversal.objects.get().heist == heist
    assert points_of(bob) == 1000


@pytest.mark.django_db(transaction=True)
def test_a_reversal_that_fails_at_commit_for_others_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heist = robbed(player(tokens=1), player(points=1000))
    fail_the_commit(monkeypatch, "40001")

    assert returned(heist) == Reversal.objects.get()


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_fails_stops_no_reversal_and_no_hook_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    heist = robbed(player(tokens=1), player(points=1000))
    later: list[Reversal] = []

    def receive(**_signal: Any) -> None:
        raise RuntimeError("a receiver that fails")

    def then_hook(self: Any, reversal: Reversal) -> None:
        give_back(self, reversal)
        transaction.on_commit(lambda: later.append(reversal))

    give_back = GamificationEconomy.give_back
    monkeypatch.setattr(GamificationEconomy, "give_back", then_hook)
    signals.heist_reversed.connect(receive)
    try:
        with mock.patch("heists.db.atomic.logger.exception") as logged:
            reversal = returned(heist)
    finally:
        signals.heist_reversed.disconnect(receive)

    assert later == [reversal]
    logged.assert_not_called()


@pytest.mark.django_db(transaction=True)
def test_the_statements_of_a_reversal_do_not_grow() -> None:
    counts = []
    for _ in range(2):
        alice, bob = player(tokens=1), player(points=1000)
        heist = robbed(alice, bob)
        with CaptureQueriesContext(connection) as statements:
            returned(heist)
        counts.append(len(statements))

    # Two looks of two statements, BEGIN, the lock, the row, two moves, the events, the notifications, COMMIT.
    assert counts == [12, 12]


def test_the_database_accepts_one_reversal_a_heist_that_is_balanced() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    row = {
        "heist": heist,
        "points_returned": 10,
        "attacker_points_before": 50,
        "attacker_points_after": 40,
        "victim_points_before": 950,
        "victim_points_after": 960,
        "reason": "a bug",
    }
    for wrong in (
        {"points_returned": 0, "attacker_points_after": 50, "victim_points_after": 950},
        {"attacker_points_after": 39},
        {"victim_points_after": 961},
        {"attacker_points_before": 9, "attacker_points_after": -1},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Reversal.objects.create(**(row | wrong))
    Reversal.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Reversal.objects.create(**row)


def test_every_error_has_a_code_of_its_own() -> None:
    errors: list[type[HeistError]] = [NotASuccess, AlreadyReversed, AnotherMonth, NothingLeft, AmountChanged]

    codes = [error.code for error in errors]

    assert codes == ["not_a_success", "already_reversed", "another_month", "nothing_left", "amount_changed"]


def test_a_single_point_is_returned() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbed(alice, bob)
    set_points(alice, 1)

    assert returned(heist).points_returned == 1
    assert (points_of(alice), points_of(bob)) == (0, 951)


def test_every_statement_goes_to_the_database_of_the_heists(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heist = robbed(player(tokens=1), player(points=1000, email="bob@example.com"))
    only(Heist, settings, monkeypatch)

    assert returned(heist, return_token=True).points_returned == 50


@pytest.mark.django_db(transaction=True)
def test_a_failing_log_handler_stops_no_reversal_and_no_hook_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    heist = robbed(player(tokens=1), player(points=1000))
    monkeypatch.setattr("heists.services.reversals.logger.info", mock.Mock(side_effect=OSError("disk full")))

    with mock.patch("heists.db.atomic.logger.exception") as logged:
        assert returned(heist).points_returned == 50
    # Django itself logs the failure of a robust hook.
    logged.assert_not_called()
