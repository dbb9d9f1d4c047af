"""The worked client in docs/, played against a running site over a network that drops answers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from heists.models import Heist, HeistNotification
from tests import ROOT
from tests.factories import PASSWORD, player, points_of

SCRIPT = ROOT / "docs" / "client.py"


@pytest.fixture
def worked() -> ModuleType:
    spec = importlib.util.spec_from_file_location("worked_client", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.django_db(transaction=True)
def test_a_day_is_played_over_a_network_that_loses_answers(
    live_server: Any, worked: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    robber = player("robber", points=10, tokens=2)
    player("poor", points=5)
    rich = player("rich", points=1000)
    monkeypatch.setattr(worked, "PAUSES", (0, 0, 0))
    lost: set[str] = set()
    read = worked.Client.read

    def lossy(self: Any, request: Any) -> Any:
        answer = read(self, request)
        # The server did it, and the client never hears of it: the first time for each kind of request after the login.
        kind = f"{request.method} {request.selector}"
        if self.token and kind not in lost and "read-all" not in kind:
            lost.add(kind)
            raise ConnectionResetError("the answer was lost")
        return answer

    monkeypatch.setattr(worked.Client, "read", lossy)

    diary = worked.play_a_day(live_server.url, "robber", PASSWORD)

    assert "POST /api/heists/" in lost
    assert diary[:3] == [
        "I have 2 tokens.",
        "rich is worth 50 points.",
        "Success! You pulled a heist on rich and stole 50 points!",
    ]
    assert diary[3].startswith("Rejected (cooldown) until ")
    assert diary[4] == "In the way now: cooldown, protected"
    assert diary[5] == "2 unread."
    assert diary[-1] == "All in all: +50 points."
    assert (points_of(robber), points_of(rich)) == (60, 950)
    assert Heist.objects.outcomes().count() == 1
    assert not HeistNotification.objects.filter(user=robber).unread().exists()


@pytest.mark.django_db(transaction=True)
def test_the_script_runs_as_its_first_lines_say(live_server: Any) -> None:
    player("robber", tokens=1)

    run = subprocess.run(
        [sys.executable, str(SCRIPT), live_server.url, "robber", PASSWORD], capture_output=True, text=True, timeout=60
    )

    assert (run.returncode, run.stdout) == (0, "I have 1 tokens.\nNobody can be robbed today.\n"), run.stderr
