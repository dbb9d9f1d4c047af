"""docs/client.py against a running site, over a connection that loses answers."""

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
def client_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_client", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.django_db(transaction=True)
def test_it_repeats_requests_whose_answers_are_lost(
    live_server: Any, client_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    robber = player("robber", points=10, tokens=2)
    player("poor", points=5)
    rich = player("rich", points=1000)
    monkeypatch.setattr(client_module, "PAUSES_SECONDS", (0, 0, 0))
    lost: set[str] = set()
    read = client_module.Client.read

    def lose_answer(self: Any, request: Any) -> Any:
        answer = read(self, request)
        # The server has answered. The first answer to each kind of request after the login is lost.
        kind = f"{request.method} {request.selector}"
        if self.token and kind not in lost and "read-all" not in kind:
            lost.add(kind)
            raise ConnectionResetError("the answer was lost")
        return answer

    monkeypatch.setattr(client_module.Client, "read", lose_answer)

    lines = client_module.play(live_server.url, "robber", PASSWORD)

    assert "POST /api/heists/" in lost
    assert lines[:3] == [
        "Tokens: 2.",
        "rich has 50 points to steal.",
        "Success! You pulled a heist on rich and stole 50 points!",
    ]
    assert lines[3].startswith("Rejected (cooldown) until ")
    assert lines[4] == "Rules that fail now: cooldown, protected"
    assert lines[5] == "Unread: 2."
    assert lines[-1] == "Net points: +50."
    assert (points_of(robber), points_of(rich)) == (60, 950)
    assert Heist.objects.outcomes().count() == 1
    assert not HeistNotification.objects.filter(user=robber).unread().exists()


@pytest.mark.django_db(transaction=True)
def test_it_runs_as_a_script(live_server: Any) -> None:
    player("robber", tokens=1)

    run = subprocess.run(
        [sys.executable, str(SCRIPT), live_server.url, "robber", PASSWORD], capture_output=True, text=True, timeout=60
    )

    assert (run.returncode, run.stdout) == (0, "Tokens: 1.\nThere is nobody to rob.\n"), run.stderr
