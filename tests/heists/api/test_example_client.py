"""docs/client.py against a running site, over a connection that loses answers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from email.message import Message
from io import BytesIO
from types import ModuleType
from typing import Any
from urllib.error import HTTPError

import pytest

from heists.models import Heist, HeistNotification
from heists.services import execute_heist
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
    assert lines[5] == "Points: 60. Unread: 2."
    assert lines[-1] == "Net points: +50."
    assert (points_of(robber), points_of(rich)) == (60, 950)
    assert Heist.objects.outcomes().count() == 1
    assert not HeistNotification.objects.filter(user=robber).unread().exists()


@pytest.mark.django_db(transaction=True)
def test_it_keeps_an_answer_until_there_is_another(
    live_server: Any, client_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    me, thief = player("robber", points=1000), player("thief", tokens=1)
    statuses: list[int] = []
    read = client_module.Client.read

    def note_status(self: Any, request: Any) -> Any:
        try:
            answer = read(self, request)
        except HTTPError as error:
            statuses.append(error.code)
            raise
        statuses.append(200)
        return answer

    client = client_module.Client(live_server.url)
    client.log_in("robber", PASSWORD)
    monkeypatch.setattr(client_module.Client, "read", note_status)

    first, again = client.get("/api/heists/me/"), client.get("/api/heists/me/")
    execute_heist(attacker_id=thief.pk, victim_id=me.pk)
    changed = client.get("/api/heists/me/")

    assert statuses == [200, 304, 200]
    assert first == again
    assert (first["monthly_points"], changed["monthly_points"]) == (1000, 950)


@pytest.mark.django_db(transaction=True)
def test_it_stops_where_no_heist_is_possible(live_server: Any, client_module: ModuleType) -> None:
    player("robber")

    lines = client_module.play(live_server.url, "robber", PASSWORD)

    assert lines == ["Tokens: 0.", "No heist now (insufficient_tokens)."]


@pytest.mark.django_db(transaction=True)
def test_it_runs_as_a_script(live_server: Any) -> None:
    player("robber", tokens=1)

    run = subprocess.run(
        [sys.executable, str(SCRIPT), live_server.url, "robber", PASSWORD], capture_output=True, text=True, timeout=60
    )

    assert (run.returncode, run.stdout) == (0, "Tokens: 1.\nThere is nobody to rob.\n"), run.stderr


@pytest.mark.parametrize(
    ("status", "code", "retry_after", "sent"),
    [
        (503, "busy", "1", 4),
        (503, "database_unavailable", "1", 4),
        (503, "feature_disabled", None, 1),
        (503, "outcome_unknown", None, 1),
        (429, "throttled", "30", 4),
        (409, "cooldown", "3600", 1),
        (400, "validation_error", None, 1),
        (500, "server_error", None, 1),
        (502, None, None, 4),
    ],
)
def test_it_repeats_only_what_passes_by_itself(
    client_module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str | None,
    retry_after: str | None,
    sent: int,
) -> None:
    requests: list[Any] = []
    pauses: list[float] = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)

    def fail(self: Any, request: Any) -> None:
        requests.append(request)
        headers = Message()
        if retry_after:
            headers["Retry-After"] = retry_after
        body = b"<html>" if code is None else json.dumps({"code": code}).encode()
        raise HTTPError(request.full_url, status, "", headers, BytesIO(body))

    monkeypatch.setattr(client_module.Client, "read", fail)
    client = client_module.Client("http://game.example")

    with pytest.raises(client_module.Problem):
        client.rob(1)
    assert len(requests) == sent
    assert len({request.get_header("Idempotency-key") for request in requests}) == 1
    assert all(pause >= int(retry_after or 0) for pause in pauses)
    with pytest.raises(client_module.Problem):
        client.post("/api/heists/", {"victim": 1})
    assert len(requests) == sent + 1
