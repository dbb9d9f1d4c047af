"""Hypothesis plays the whole game in any order, with a model beside it; the data are checked after every step."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from rest_framework.test import APIClient

from gamification.models import PlayerProfile
from gamification.services import award_coins, award_points, sign_up
from heists.choices import GrantReason, HeistStatus
from heists.errors import (
    AlreadyReversed,
    AlreadyTakenBack,
    AnotherMonth,
    InsufficientCoins,
    NotCorrectable,
    NothingLeft,
    ShieldAlreadyLive,
)
from heists.models import Heist, HeistNotification, HeistToken, Reversal, Shield, TokenGrant
from heists.services import (
    buy_shield,
    expire_shields,
    grant_tokens,
    mark_all_read,
    reverse_heist,
    set_truce,
    take_back,
)
from tests import oracle

START = dt.datetime(2026, 1, 27, 9, tzinfo=dt.UTC)
# STATE_MACHINE_EXAMPLES=500 plays longer than an ordinary test run has time for.
EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "12"))


class Model:
    """What a player should have, counted by the test."""

    def __init__(self, user: Any) -> None:
        self.user, self.active = user, True
        self.points, self.coins, self.tokens = 0, 0, 0
        # By attacker.
        self.lost: Counter[Any] = Counter()
        self.shield_until: dt.datetime | None = None


class Game(RuleBasedStateMachine):
    players = Bundle("players")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.clock = mock.patch("django.utils.timezone.now", lambda: self.now)
        self.clock.start()
        self.atomic = transaction.atomic()
        # As TestCase marks its own, so that services, whose transactions are durable, run inside and are rolled back.
        setattr(self.atomic, "_from_testcase", True)  # noqa: B010
        self.atomic.__enter__()
        self.models: dict[Any, Model] = {}
        self.keys: dict[tuple[Any, str], int] = {}
        self.attempts = self.accounts = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)
        self.clock.stop()

    @initialize(target=players)
    def a_first_player(self) -> Any:
        return self.sign(None)

    @initialize(target=players)
    def a_rich_player(self) -> Any:
        pk = self.sign(None)
        self.award(pk, 1700)
        self.award_coins(pk, 120)
        return pk

    @initialize(target=players)
    def an_armed_player(self) -> Any:
        pk = self.sign(None)
        self.grant(pk, 5)
        return pk

    def sign(self, referrer: Any) -> Any:
        code = PlayerProfile.objects.get(user=referrer).referral_code if referrer else None
        self.accounts += 1
        user = sign_up(username=f"player{self.accounts}", password="correct horse battery", referral_code=code)
        # The default of the field is the clock that no test moves.
        get_user_model().objects.filter(pk=user.pk).update(date_joined=self.now)
        self.models[user.pk] = Model(user)
        self.models[user.pk].points = PlayerProfile.objects.get(user=user).monthly_points
        if referrer and self.models[referrer].active:
            self.models[referrer].points += self.worth("REFERRAL_BONUS")
            self.models[referrer].tokens += 1
        return user.pk

    @staticmethod
    def worth(name: str) -> int:
        from gamification.models import PointEventTypeMaster

        return PointEventTypeMaster.objects.get(name=name).points

    @rule(target=players, referrer=st.none() | players)
    def sign_up(self, referrer: Any) -> Any:
        return self.sign(referrer)

    @rule(pk=players, points=st.sampled_from([1, 19, 20, 480, 1000, 5000]))
    def award(self, pk: Any, points: int) -> None:
        award_points(player=self.models[pk].user, type_name="CHECKIN", points=points)
        self.models[pk].points += points

    @rule(pk=players, coins=st.integers(1, 120))
    def award_coins(self, pk: Any, coins: int) -> None:
        award_coins(player=self.models[pk].user, amount=coins)
        self.models[pk].coins += coins

    @rule(pk=players, amount=st.integers(1, 3), source=st.integers(0, 20) | st.none())
    def grant(self, pk: Any, amount: int, source: int | None = None) -> None:
        name = f"{pk}:{self.attempts if source is None else source}:{source is None}"
        seen = HeistToken.objects.filter(user=pk, user__heist_token_grants__source=name).exists()
        self.attempts += 1
        grant_tokens(player=self.models[pk].user, amount=amount, reason=GrantReason.STAFF, source=name)
        self.models[pk].tokens += 0 if seen else amount

    @rule(attacker=players, victim=players, key=st.none() | st.sampled_from("abcdef"))
    def rob(self, attacker: Any, victim: Any, key: str | None) -> None:
        one, other = self.models[attacker], self.models[victim]
        expected, amount = oracle.questions(attacker, victim, self.now), oracle.amount(victim, self.now)
        client = APIClient()
        client.force_authenticate(get_user_model().objects.get(pk=attacker))
        headers = {"Idempotency-Key": f"{key}-{victim}"} if key else {}
        answer = client.post("/api/heists/", {"victim": victim}, format="json", headers=headers)
        body = answer.json()
        if not one.active:
            assert answer.status_code == 403, body
            return
        pk = body["id"] if answer.status_code == 201 else body["heist"]
        if key and (attacker, f"{key}-{victim}") in self.keys:
            assert pk == self.keys[attacker, f"{key}-{victim}"]
            return
        if key:
            self.keys[attacker, f"{key}-{victim}"] = pk

        heist = Heist.objects.get(pk=pk)
        if expected:
            assert (answer.status_code, body["code"]) == (409, expected[0].code), body
            assert heist.retry_at == expected[0].retry_at
            return
        one.tokens -= 1
        if other.shield_until and self.now < other.shield_until:
            assert heist.status == HeistStatus.FAILED_SHIELD
            other.shield_until = None
            return
        assert (answer.status_code, body["points_stolen"]) == (201, amount), body
        one.points += amount
        other.points -= amount
        other.lost[attacker] += amount

    @rule(number=st.integers(0, 30), token=st.booleans())
    def give_back(self, number: int, token: bool) -> None:
        heists = list(Heist.objects.filter(status=HeistStatus.SUCCESS).order_by("-pk"))
        if not heists:
            return
        heist = heists[number % len(heists)]
        one, other, at = self.models[heist.attacker_id], self.models[heist.victim_id], heist.created_at
        points = min(heist.points_stolen, one.points)
        try:
            reversal = reverse_heist(heist_id=heist.pk, reversed_by=None, reason="a bug", return_token=token)
        except AlreadyReversed:
            assert Reversal.objects.filter(heist=heist).exists()
        except AnotherMonth:
            assert (at.year, at.month) != (self.now.year, self.now.month)
        except NothingLeft:
            assert not points
        else:
            assert (at.year, at.month) == (self.now.year, self.now.month)
            assert reversal.points_returned == points > 0
            one.points -= points
            other.points += points
            one.tokens += token

    @rule(pk=players, number=st.integers(0, 30))
    def correct(self, pk: Any, number: int) -> None:
        grants = list(TokenGrant.objects.filter(player=pk).order_by("pk"))
        if not grants:
            return
        grant, model = grants[number % len(grants)], self.models[pk]
        try:
            correction = take_back(grant=grant, by=None, reason="a bug")
        except NotCorrectable:
            assert grant.amount < 0
        except AlreadyTakenBack:
            assert TokenGrant.objects.filter(source=f"correction:{grant.pk}").exists()
        except NothingLeft:
            assert not model.tokens
        else:
            assert -correction.amount == min(grant.amount, model.tokens) > 0
            model.tokens += correction.amount

    @rule(pk=players)
    def shield(self, pk: Any) -> None:
        model, live = self.models[pk], self.models[pk].shield_until
        if not model.active:
            return
        try:
            shield = buy_shield(player_id=pk)
        except ShieldAlreadyLive:
            assert live and self.now < live
        except InsufficientCoins:
            assert model.coins < 50
        else:
            assert not (live and self.now < live) and model.coins >= 50
            model.coins -= 50
            model.shield_until = shield.expires_at

    @rule(pk=players, wanted=st.booleans())
    def wish(self, pk: Any, wanted: bool) -> None:
        if self.models[pk].active:
            truce = set_truce(player_id=pk, wanted=wanted)
            assert (truce is not None and truce.wanted) == wanted

    @rule()
    def expire(self) -> None:
        expire_shields()
        assert not Shield.objects.due(self.now).exists()

    @rule(hours=st.sampled_from([1, 23, 24, 47, 48, 24 * 7]), instant=st.booleans())
    def clock_forward(self, hours: int, instant: bool) -> None:
        before, self.now = self.now, self.now + dt.timedelta(hours=hours) - dt.timedelta(microseconds=instant)
        if (before.year, before.month) != (self.now.year, self.now.month):
            for model in self.models.values():
                model.points = 0

    @rule()
    def close(self) -> None:
        call_command("close_month", stdout=StringIO())
        assert not PlayerProfile.objects.filter(month__lt=self.now.date().replace(day=1)).exists()

    @rule(pk=players, active=st.booleans())
    def deactivate(self, pk: Any, active: bool) -> None:
        get_user_model().objects.filter(pk=pk).update(is_active=active)
        self.models[pk].active = active

    @rule(target=players, pk=consumes(players))
    def delete(self, pk: Any) -> Any:
        if Heist.objects.filter(victim=pk, status=HeistStatus.FAILED_SHIELD).exists():
            # Nothing would be left of the attack but the attacker's token row: the oracle reads events.
            return pk
        get_user_model().objects.get(pk=pk).delete()
        del self.models[pk]
        for model in self.models.values():
            model.lost.pop(pk, None)
        return multiple()

    @rule(pk=players)
    def read(self, pk: Any) -> None:
        mark_all_read(player_id=pk)
        assert not HeistNotification.objects.filter(user=pk, read=False).exists()

    @rule(attacker=players, victim=players)
    def preview(self, attacker: Any, victim: Any) -> None:
        if not self.models[attacker].active:
            return
        client = APIClient()
        client.force_authenticate(get_user_model().objects.get(pk=attacker))
        before = Heist.objects.count()
        body = client.get(f"/api/heists/targets/{victim}/").json()
        assert [reason["code"] for reason in body["reasons"]] == [
            no.code for no in oracle.questions(attacker, victim, self.now)
        ]
        assert body["potential_points"] == oracle.amount(victim, self.now)
        assert Heist.objects.count() == before

    @invariant()
    def the_books_are_right(self) -> None:
        out = StringIO()
        try:
            call_command("audit_heists", stdout=out)
        except SystemExit:
            raise AssertionError(out.getvalue()) from None

    @invariant()
    def everybody_has_what_the_model_says(self) -> None:
        points = {pk: oracle.monthly_points(pk) for pk in self.models}
        coins = dict(PlayerProfile.objects.values_list("user", "coins"))
        tokens = dict(HeistToken.objects.values_list("user", "balance"))
        for pk, model in self.models.items():
            assert (points[pk], coins[pk], tokens.get(pk, 0)) == (model.points, model.coins, model.tokens)
        moved = Heist.objects.aggregate(total=Sum("points_stolen"))["total"] or 0
        assert moved == sum(model.lost.total() for model in self.models.values())


Game.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.django_db
class TestGame(Game.TestCase):  # type: ignore[misc, valid-type]  # a class that Hypothesis makes at run time
    @pytest.fixture(autouse=True)
    def patient(self, settings: Any) -> None:
        patience = {"NEWCOMER_DAYS": 1, "RATE_LIMIT_PER_MINUTE": 1_000_000, "READ_RATE_LIMIT_PER_MINUTE": 1_000_000}
        settings.HEISTS = settings.HEISTS | patience
