from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from heists.choices import GrantReason
from heists.models import HeistNotification, TokenGrant
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

    assert output == "Granted 3 tokens to 1 player in 1 grant; granted before: 0; bad lines: 0.\n"
    assert tokens_of(alice).balance == 5
    assert TokenGrant.objects.get(amount=3).reason == GrantReason.STAFF
    assert HeistNotification.objects.filter(user=alice).count() == 2


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
