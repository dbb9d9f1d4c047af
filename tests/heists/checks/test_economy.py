from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning
from django.db.models import EmailField, IntegerField

from heists.checks import economy
from heists.checks.economy import check_economy

HERE = "tests.heists.checks.economies"


@pytest.fixture
def economy_is(settings: Any) -> Any:
    def judge(path: str | None) -> list[CheckMessage]:
        settings.HEISTS = {**settings.HEISTS, "ECONOMY": path}
        return list(check_economy())

    return judge


def test_the_economy_of_the_example_site_is_right() -> None:
    assert list(check_economy()) == []


@pytest.mark.parametrize("path", [None, ""])
def test_e002_no_economy(economy_is: Any, path: str | None) -> None:
    assert economy_is(path) == [
        Error(
            "HEISTS names no economy.",
            hint=(
                "Write a subclass of heists.economy.Economy and name it: "
                'HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}.'
            ),
            id="heists.E002",
        )
    ]


@pytest.mark.parametrize("path", ["nowhere.Economy", f"{HERE}.Missing", "nodots"])
def test_e003_an_economy_that_can_not_be_imported(economy_is: Any, path: str) -> None:
    (message,) = economy_is(path)

    assert message.id == "heists.E003"
    assert message.msg.startswith(f"HEISTS[\"ECONOMY\"] = '{path}' can't be imported: ")
    assert message.hint == 'Write the dotted path of your economy class: "yourapp.economy.YourEconomy".'


def test_e003_a_class_that_is_not_an_economy(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.NotAnEconomy") == [
        Error(
            f"HEISTS[\"ECONOMY\"] = '{HERE}.NotAnEconomy' is not a subclass of heists.economy.Economy.",
            hint="Write: from heists.economy import Economy; class YourEconomy(Economy).",
            id="heists.E003",
        )
    ]


@pytest.mark.parametrize(
    ("name", "missing"), [("Empty", "players(), lock(), transfer()"), ("CoinsInNameOnly", "coins(), spend_coins()")]
)
def test_e003_an_economy_with_missing_methods(economy_is: Any, name: str, missing: str) -> None:
    assert economy_is(f"{HERE}.{name}") == [
        Error(
            f"{HERE}.{name} does not implement {missing}.",
            hint="Implement each as its docstring in heists.economy.Economy says.",
            id="heists.E003",
        )
    ]


def test_e010_players_that_raise(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.Broken") == [
        Error(
            f"{HERE}.Broken.players() raises LookupError: no such table",
            hint="Return a queryset and run no query: players() is also called before `migrate`.",
            id="heists.E010",
        )
    ]


def test_e010_players_of_another_model(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.Profiles") == [
        Error(
            f"{HERE}.Profiles.players() does not return a queryset of auth.User.",
            hint='Begin with get_user_model().objects and annotate "monthly_points".',
            id="heists.E010",
        )
    ]


@pytest.mark.parametrize(
    "name", ["Grouped", "Counted", "Distinct", "Flat", "Sliced", "United", "Listed", "PointsAlone"]
)
def test_e011_players_that_can_not_be_joined(economy_is: Any, name: str) -> None:
    assert economy_is(f"{HERE}.{name}") == [
        Error(
            f"{HERE}.{name}.players() groups, combines, slices or flattens its rows.",
            hint="Annotate a column or a Subquery; the joins of heists would multiply an aggregate over a join.",
            id="heists.E011",
        )
    ]


def test_e012_players_without_points(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.Pointless") == [
        Error(
            f'{HERE}.Pointless.players() has no "monthly_points".',
            hint='Annotate it: .annotate(monthly_points=F("profile__points")).',
            id="heists.E012",
        )
    ]


@pytest.mark.parametrize("name", ["Wordy", "Mixed"])
def test_e012_points_that_are_not_integers(economy_is: Any, name: str) -> None:
    assert economy_is(f"{HERE}.{name}") == [
        Error(
            f'{HERE}.{name}.players() has a "monthly_points" that is not an integer.',
            hint="Use an IntegerField: Coalesce(…, 0, output_field=IntegerField()).",
            id="heists.E012",
        )
    ]


def test_w002_points_that_may_be_null(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.Nullable") == [
        Warning(
            f'{HERE}.Nullable.players() may have a "monthly_points" that is null.',
            hint="Wrap it: Coalesce(Subquery(…), 0).",
            id="heists.W002",
        )
    ]


def test_w018_points_that_are_a_column_of_the_user(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.OnUserRow") == [
        Warning(
            f'The "monthly_points" of {HERE}.OnUserRow.players() are a column of auth.User; saving a whole user, as '
            "SetPasswordForm does, writes old points back.",
            hint=(
                "Keep the points in a table of their own, or let save() of the user model leave that column out and "
                'silence this check: SILENCED_SYSTEM_CHECKS = ["heists.W018"].'
            ),
            id="heists.W018",
        )
    ]


def test_w019_a_key_that_is_an_email_address(monkeypatch: pytest.MonkeyPatch) -> None:
    meta = SimpleNamespace(pk=EmailField(primary_key=True), label="people.Person")
    monkeypatch.setattr("heists.checks.economy.get_user_model", lambda: SimpleNamespace(_meta=meta))

    assert list(economy._user_key()) == [
        Warning(
            "The primary key of people.Person is an email address, and the API shows players' keys as their ids.",
            hint='Give the user model another primary key, or accept it: SILENCED_SYSTEM_CHECKS = ["heists.W019"].',
            id="heists.W019",
        )
    ]


def test_w021_newcomers_of_whom_nobody_knows_when_they_joined(economy_is: Any, settings: Any) -> None:
    assert economy_is(f"{HERE}.NeverJoined") == []

    settings.HEISTS = {**settings.HEISTS, "NEWCOMER_DAYS": 1}

    assert economy_is(f"{HERE}.NeverJoined") == [
        Warning(
            f'{HERE}.NeverJoined.players() has no "joined_at", so NEWCOMER_DAYS protects nobody.',
            hint='Annotate it: .annotate(joined_at=F("date_joined")); or write "NEWCOMER_DAYS": 0.',
            id="heists.W021",
        )
    ]
    assert economy_is("gamification.economy.GamificationEconomy") == []
    # A wrong type of the setting is reported elsewhere.
    settings.HEISTS = {**settings.HEISTS, "NEWCOMER_DAYS": "1"}
    assert economy_is(f"{HERE}.NeverJoined") == []


@pytest.mark.parametrize("name", ["JoinedOnADay", "JoinedSomehow", "JoinedMixed"])
def test_e020_a_time_of_joining_that_is_no_time(economy_is: Any, name: str) -> None:
    assert economy_is(f"{HERE}.{name}") == [
        Error(
            f'{HERE}.{name}.players() has a "joined_at" that is not a DateTimeField.',
            hint="Annotate a DateTimeField, or nothing of this name.",
            id="heists.E020",
        )
    ]


def test_settings_that_are_not_a_dictionary_are_reported_once(settings: Any) -> None:
    settings.HEISTS = None

    assert list(check_economy()) == []


def test_an_economy_without_coins_needs_no_methods_for_them(economy_is: Any) -> None:
    assert economy_is(f"{HERE}.Coinless") == []


@pytest.mark.parametrize("null", [False, True])
def test_w002_a_field_that_may_be_null(null: bool) -> None:
    field: Any = IntegerField(null=null)
    meta = SimpleNamespace(get_field=lambda name: field, label="people.Person")
    players: Any = SimpleNamespace(query=SimpleNamespace(annotations={}), model=SimpleNamespace(_meta=meta))

    assert [message.id for message in economy._monthly_points("an.Economy", players)] == ["heists.W002"] * null


def test_w018_the_fields_of_a_users_parents_are_of_the_user_too(monkeypatch: pytest.MonkeyPatch) -> None:
    own, inherited, other = IntegerField(), IntegerField(), IntegerField()
    meta = SimpleNamespace(concrete_fields=[inherited, own], local_fields=[own])
    monkeypatch.setattr("heists.checks.economy.get_user_model", lambda: SimpleNamespace(_meta=meta))

    assert [economy._on_user_row(field) for field in (own, inherited, other)] == [True, True, False]
