"""Each line of a file of grants: its values, the source made for it, and the sentence that says what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from gamification.economy import GamificationEconomy
from heists.choices import GrantReason
from heists.errors import UnknownPlayer
from heists.models import TokenGrant
from heists.services import token_csv
from heists.services.token_csv import AmbiguousPlayer, InvalidFile, InvalidLine, Line
from tests.factories import player

from .elsewhere import only

pytestmark = pytest.mark.django_db


def lines(*text: str, file_name: str = "gifts.csv", **options: Any) -> list[Line | InvalidLine]:
    options = {"reason": GrantReason.PROMOTION, **options}
    return list(token_csv.read_lines([f"{line}\n" for line in text], file_name=file_name, **options))


def source(text: str, number: int = 1, file: str = "gifts.csv") -> str:
    """Return what docs/specification.md, "Commands", makes of a line without a source."""
    digest = hashlib.sha256(f"{text}\x1f{number}".encode()).hexdigest()
    return f"file:{file}:{digest[:32]}"


def test_a_line_has_the_values_of_its_columns_in_any_order() -> None:
    alice, bob = player("alice"), player("bob")

    found = lines(
        " NOTE ,amount,Player,source,reason",
        " a prize , 3 , alice , prize-1 , staff ",
        "",
        " , , , , ",
        ",1000000,bob,,",
        reason=GrantReason.REFERRAL,
    )

    assert found == [
        Line(2, alice, 3, GrantReason.STAFF, "prize-1", "a prize"),
        Line(5, bob, 1_000_000, GrantReason.REFERRAL, source("\x1f1000000\x1fbob\x1f\x1f"), ""),
    ]


def test_equal_lines_of_a_file_are_different_grants_and_the_same_in_the_same_file() -> None:
    alice = player("alice")
    text = ("player,amount", "alice,1", "alice,2", " alice , 1", "alice,1")

    found = [line.source for line in lines(*text, file_name="/home/x/gifts.csv") if isinstance(line, Line)]

    one, two = "alice\x1f1", "alice\x1f2"
    assert found == [source(one), source(two), source(one, 2), source(one, 3)]
    assert [line.source for line in lines(*text[:2], file_name="other.csv") if isinstance(line, Line)] == [
        source(one, file="other.csv")
    ]
    [long] = lines(*text[:2], file_name="x" * 300)
    assert isinstance(long, Line) and long.player == alice
    assert long.source == source(one, file="x" * 200)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("alice,1,,", "4 columns instead of 3."),
        ("alice,1", "2 columns instead of 3."),
        ("alice,1,bribe", "'BRIBE' is not a reason. Reasons: "),
        ("alice,x,", "'x' is not a whole number."),
        ("alice,1_0,", "'1_0' is not a whole number."),
        ("alice,1.5,", "'1.5' is not a whole number."),
        ("alice,0,", "The amount is out of range."),
        ("alice,1000001,", "The amount is out of range."),
        ("nobody,1,", "There is no player 'nobody'."),
        (",1,", "There is no player ''."),
    ],
)
def test_a_line_that_is_wrong_says_why(line: str, problem: str) -> None:
    player("alice")

    [found] = lines("player,amount,reason", line)

    assert isinstance(found, InvalidLine) and found.number == 2
    if problem.endswith("Reasons: "):
        problem += "REFERRAL, PROMOTION, STAFF, REFUND" + "."
    assert found.problem == problem


@pytest.mark.parametrize("text", ["source", "note"])
def test_a_text_that_is_too_long_is_named(text: str) -> None:
    player("alice")

    [fits, long] = lines(f"player,amount,{text}", f"alice,1,{'x' * 255}", f"alice,1,{'x' * 256}")

    assert isinstance(fits, Line)
    assert long == InvalidLine(3, f"The {text} is out of range.")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (None, "The first line has to name the columns. Missing: player, amount."),
        ("player,note", "The first line has to name the columns. Missing: amount."),
        ("player,amount,colour", "Unknown or repeated columns: colour."),
        ("player,amount,amount", "Unknown or repeated columns: player, amount, amount."),
    ],
)
def test_a_header_that_is_wrong_says_why(header: str | None, problem: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        lines(*([] if header is None else [header]))

    assert str(raised.value) == f"{problem} Known: player, amount, reason, source, note."


def test_what_is_no_csv_or_no_text_says_so_with_the_line() -> None:
    def broken() -> Iterator[str]:
        yield "player,amount\n"
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")

    with pytest.raises(InvalidFile, match="not UTF-8"):
        list(token_csv.read_lines(broken(), file_name="a", reason=GrantReason.STAFF))
    with pytest.raises(InvalidFile, match=r"^Line 2: .*field larger"):
        lines("player,amount", "x" * 200_000 + ",1")


def test_names_keys_and_both_at_once() -> None:
    alice = player("alice")
    other = player(str(alice.pk))

    assert token_csv.find_player("alice") == token_csv.find_player(str(alice.pk), by="key") == alice
    assert token_csv.find_player(str(alice.pk), by="name") == other
    assert token_csv.find_player(str(other.pk)) == other
    for text, by in (("alice", "key"), (str(other.pk), "name"), ("", None), ("9" * 40, None), ("\x00", None)):
        with pytest.raises(UnknownPlayer):
            token_csv.find_player(text, by=by)
    with pytest.raises(AmbiguousPlayer) as raised:
        token_csv.find_player(str(alice.pk))
    assert raised.value.keys == [alice.pk, other.pk]
    sentence = f"'x' names more than one player (keys {alice.pk}, {other.pk}). Use --by key, or --by name."
    assert raised.value.message("x") == sentence
    [line] = lines("player,amount", f"{alice.pk},1")
    assert line == InvalidLine(2, sentence.replace("'x'", repr(str(alice.pk))))
    [line] = lines("player,amount", f"{alice.pk},1", by="key")
    assert isinstance(line, Line) and line.player == alice


def test_two_of_many_players_with_one_name_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    players = [player(first_name="Bo") for _ in range(3)]
    shown = get_user_model().objects.filter(first_name="Bo").order_by("pk")
    monkeypatch.setattr(
        GamificationEconomy, "search_players", lambda self, text, *, exact=False: shown if exact else None
    )

    with pytest.raises(AmbiguousPlayer) as raised:
        token_csv.find_player("Bo")

    assert raised.value.keys == [players[0].pk, players[1].pk]


def test_a_user_name_is_found_where_the_host_has_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GamificationEconomy, "search_players", lambda self, text, *, exact=False: None)
    # As typed, composed, and as sign-up normalises it.
    players = [player(name) for name in ("\uff2aose\u0301", "\uff2aos\u00e9", "Jos\u00e9")]

    assert token_csv.find_player("Jos\u00e9") == players[2]
    with pytest.raises(AmbiguousPlayer) as raised:
        token_csv.find_player("\uff2aose\u0301")
    assert raised.value.keys == [user.pk for user in players]


def test_a_player_who_is_found_by_both_names_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player("alice")
    monkeypatch.setattr(
        GamificationEconomy, "search_players", lambda self, text, *, exact=False: get_user_model().objects.all()
    )

    assert token_csv.find_player("alice") == alice


def test_players_are_read_from_the_database_that_gets_the_grants(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = player("alice")
    monkeypatch.setattr(
        GamificationEconomy, "search_players", lambda self, text, *, exact=False: get_user_model().objects.all()
    )
    only(TokenGrant, settings, monkeypatch)

    assert token_csv.find_player("alice") == token_csv.find_player(str(alice.pk)) == alice
