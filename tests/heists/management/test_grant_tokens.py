from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from gamification.economy import GamificationEconomy
from heists.choices import GrantReason
from heists.errors import Busy
from heists.models import HeistNotification, TokenGrant
from heists.services import grant_tokens
from tests.factories import player, tokens_of

pytestmark = pytest.mark.django_db(transaction=True)


def run(*args: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command("grant_tokens", *args, stdout=out, **options)
    return out.getvalue()


def write(folder: Path, text: str | bytes, name: str = "gifts.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_one_player_is_found_by_name_or_key_and_notified() -> None:
    alice = player("alice")

    output = run("alice", "3", reason="STAFF", note="won the raffle")
    run(str(alice.pk), "2")

    source = TokenGrant.objects.get(amount=3).source
    assert source.startswith("command:")
    assert output == (
        "Granted 3 tokens to 1 player in 1 grant; granted before: 0; bad lines: 0.\n"
        f"Its source is {source}: give it as --source where you repeat this command. Without it, the same command"
        " grants again.\n"
    )
    assert tokens_of(alice).balance == 5
    assert TokenGrant.objects.get(amount=3).reason == GrantReason.STAFF
    assert HeistNotification.objects.filter(user=alice).count() == 2


@pytest.mark.parametrize("typed", ["Jose\u0301", "Jos\u00e9", "\uff2aos\u00e9"])
def test_a_name_is_found_in_every_unicode_form(typed: str, tmp_path: Path) -> None:
    jose = player("Jos\u00e9")

    run(typed, "3")
    run(csv=write(tmp_path, f"player,amount\n{typed},2\n"))

    assert tokens_of(jose).balance == 5


def test_a_name_that_was_stored_decomposed_is_found_as_typed() -> None:
    jose = player("Jose\u0301")

    run("Jose\u0301", "3")

    assert tokens_of(jose).balance == 3


def test_a_text_that_is_one_players_name_and_anothers_key_is_rejected(tmp_path: Path) -> None:
    other = player("other")
    named = player(str(other.pk))
    file, errors = write(tmp_path, f"player,amount\n{other.pk},3\n"), io.StringIO()

    with pytest.raises(CommandError, match=rf"keys {other.pk}, {named.pk}.*--by key, or --by name"):
        run(str(other.pk), "3")
    with pytest.raises(CommandError, match="1 line could not"):
        run(csv=file, stderr=errors)
    assert "--by key" in errors.getvalue()
    assert not TokenGrant.objects.exists()

    run(str(other.pk), "3", by="key")
    run(str(other.pk), "4", by="name")
    run(csv=file, by="name")
    assert (tokens_of(other).balance, tokens_of(named).balance) == (3, 7)


@pytest.mark.parametrize("by", ["name", "key"])
def test_by_allows_one_way_only(by: str) -> None:
    alice = player("alice")

    with pytest.raises(CommandError, match="There is no player"):
        run({"name": str(alice.pk), "key": "alice"}[by], "3", by=by)


@pytest.mark.parametrize("form", ["0{}", "+{}", " {}", "{}_0", "{}.0"])
def test_a_key_is_not_guessed_from_another_form(form: str) -> None:
    alice = player("alice")

    with pytest.raises(CommandError, match="There is no player"):
        run(form.format(alice.pk), "3")


def test_the_name_that_players_see_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, carol = player("a1", first_name="Al"), player("b1", first_name="Bo"), player("c1", first_name="Bo")
    monkeypatch.setattr(
        GamificationEconomy,
        "search_players",
        lambda self, text, *, exact=False: get_user_model().objects.filter(first_name=text),
        raising=False,
    )

    run("Al", "3")
    with pytest.raises(CommandError, match=rf"keys {bob.pk}, {carol.pk}"):
        run("Bo", "3")

    assert tokens_of(alice).balance == 3


def test_the_same_source_grants_once() -> None:
    alice = player("alice")

    run("alice", "3", source="raffle")
    output = run("alice", "3", source="raffle")

    assert "granted before: 1" in output
    assert tokens_of(alice).balance == 3


def test_a_dry_run_grants_nothing() -> None:
    player("alice")

    output = run("alice", "3", dry_run=True)

    assert output.startswith("Would grant 3 tokens")
    assert not TokenGrant.objects.exists()


@pytest.mark.parametrize(
    "args",
    [(), ("alice",), ("nobody", "1"), ("alice", "0"), ("alice", "-1"), ("alice", "1000001"), ("alice\x00", "1")],
)
def test_wrong_arguments_are_rejected(args: tuple[str, ...]) -> None:
    player("alice")

    with pytest.raises(CommandError):
        run(*args)

    assert not TokenGrant.objects.exists()


def test_a_file_is_granted_line_by_line_and_safe_to_repeat(tmp_path: Path) -> None:
    alice, bob = player("alice"), player("bob")
    file = write(
        tmp_path,
        "\ufeffplayer,amount,reason,source,note\r\nalice,3,staff,prize-1,first\r\nbob,1,,,\r\nbob,1,,,\r\n\r\n",
    )

    output = run(csv=file)
    again = run(csv=file)

    assert output == "Granted 5 tokens to 2 players in 3 grants; granted before: 0; bad lines: 0.\n"
    assert again == "Granted 0 tokens to 0 players in 0 grants; granted before: 3; bad lines: 0.\n"
    assert (tokens_of(alice).balance, tokens_of(bob).balance) == (3, 2)
    assert TokenGrant.objects.get(source="prize-1").note == "first"


def test_bad_lines_are_named_and_the_good_ones_are_granted(tmp_path: Path) -> None:
    alice = player("alice")
    lines = ["player,amount,reason", "nobody,1,", "alice,x,", "alice,0,", "alice,1,BRIBE", "alice,1", "alice,2,"]
    errors = io.StringIO()

    with pytest.raises(CommandError, match="5 lines"):
        run(csv=write(tmp_path, "\n".join(lines)), stderr=errors)

    assert [line.split(":")[0] for line in errors.getvalue().splitlines()] == [f"line {n}" for n in (2, 3, 4, 5, 6)]
    assert tokens_of(alice).balance == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"alice,3\n",
        b"player\nalice\n",
        b"player,amount,colour\n",
        b"player,amount,amount\n",
        b"\xff\xfe\x00player",
    ],
)
def test_a_file_of_another_format_is_rejected(tmp_path: Path, content: bytes) -> None:
    player("alice")

    with pytest.raises(CommandError):
        run(csv=write(tmp_path, content))

    assert not TokenGrant.objects.exists()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        run(csv=str(tmp_path / "nowhere.csv"))


def test_a_source_of_ones_own_is_not_printed_and_a_dry_run_makes_none_up() -> None:
    player("alice")

    assert "Its source is" not in run("alice", "3", source="raffle")
    assert "Its source is" not in run("alice", "3", dry_run=True)
    assert "Its source is" in run("alice", "3")


def test_a_dry_run_of_a_file_counts_known_and_repeated_sources(tmp_path: Path) -> None:
    player("alice"), player("bob")
    run("alice", "1", source="known")
    lines = ["player,amount,source", "alice,5,known", "alice,2,new", "bob,3,new", "bob,4,", "nobody,1,"]
    file, problems = write(tmp_path, "\n".join(lines)), io.StringIO()
    said = io.StringIO()

    with pytest.raises(CommandError, match=r"^1 line could not be granted\. Correct the file and run it again\.$"):
        call_command("grant_tokens", csv=file, dry_run=True, stdout=said, stderr=problems)

    assert said.getvalue() == "Would grant 6 tokens to 2 players in 2 grants; granted before: 2; bad lines: 1.\n"
    assert problems.getvalue().startswith("line 6: ") and TokenGrant.objects.count() == 1


def test_the_options_of_a_grant_are_kept(tmp_path: Path) -> None:
    player("alice")

    run("alice", "1", source="one", reason="STAFF", note="won the raffle")
    run(csv=write(tmp_path, "player,amount,source\nalice,1,two\n"), reason="STAFF")
    run(csv=write(tmp_path, "player,amount,source,reason\nalice,1,three,promotion\n"), reason="STAFF")

    grants = TokenGrant.objects.order_by("pk").values_list("source", "reason", "note")
    assert list(grants) == [("one", "STAFF", "won the raffle"), ("two", "STAFF", ""), ("three", "PROMOTION", "")]


@pytest.mark.parametrize("option", [{"source": "raffle"}, {"source": ""}, {"note": "won the raffle"}])
def test_the_columns_of_a_file_are_no_options(tmp_path: Path, option: dict[str, str]) -> None:
    player("alice")

    with pytest.raises(CommandError, match=r"^In a file, source and note are columns of the file\.$"):
        run(csv=write(tmp_path, "player,amount\nalice,1\n"), **option)
    assert not TokenGrant.objects.exists()


@pytest.mark.parametrize("reason", ["CORRECTION", "BRIBE"])
def test_a_reason_is_one_that_callers_may_give(reason: str) -> None:
    player("alice")

    with pytest.raises(CommandError, match="invalid choice"):
        run("alice", "1", f"--reason={reason}")
    assert not TokenGrant.objects.exists()


def test_one_player_in_several_lines_is_one_player(tmp_path: Path) -> None:
    player("alice")

    output = run(csv=write(tmp_path, "player,amount\nalice,1\nalice,2\n"))

    assert output == "Granted 3 tokens to 1 player in 2 grants; granted before: 0; bad lines: 0.\n"


def test_a_line_that_the_service_rejects_is_a_bad_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player("alice"), player("bob")

    def grant(*, player: Any, **options: Any) -> Any:
        if player.username == "alice":
            raise Busy
        return grant_tokens(player=player, **options)

    monkeypatch.setattr("heists.management.commands.grant_tokens.grant_tokens", grant)
    said, problems = io.StringIO(), io.StringIO()

    with pytest.raises(CommandError, match="1 line could not be granted"):
        file = write(tmp_path, "player,amount\nalice,1\nbob,2\n")
        call_command("grant_tokens", csv=file, stdout=said, stderr=problems)

    assert said.getvalue() == "Granted 2 tokens to 1 player in 1 grant; granted before: 0; bad lines: 1.\n"
    assert problems.getvalue() == f"line 2: {Busy()}\n"


def test_what_was_granted_before_is_read_where_grants_are_written(settings: Any) -> None:
    """Behind a replica that lags, a repeated file would be granted again, were it not for the constraint."""
    player("alice")
    run("alice", "1", source="raffle")
    settings.DATABASE_ROUTERS = [GrantsElsewhere()]

    assert "granted before: 1" in run("alice", "1", source="raffle")


class GrantsElsewhere:
    """Has no replica for grants."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "nowhere" if model is TokenGrant else None
