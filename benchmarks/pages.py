"""The pages that a player reads, as requests in this process: without a server and without a sign-in."""

from __future__ import annotations

import datetime as dt
import time
from http import HTTPStatus
from statistics import median
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from heists.economy import current_month

from .world import veterans


def paths() -> dict[str, str]:
    """Return the path of each page by name."""
    last_month = current_month() - dt.timedelta(days=1)
    pages = {
        "balance": "token/",
        "me": "me/",
        "feed": "notifications/",
        "history": "",
        "history, attacker": "?role=attacker",
        "history, victim": "?role=victim",
        "history, status": "?role=attacker&status=SUCCESS",
        "history, victim, status": "?role=victim&status=FAILED_SHIELD",
        "targets": "targets/",
        "targets, eligible": "targets/?eligible=true",
        "targets, by name": "targets/?search=an",
        "stats": "stats/",
        "leaderboard": "leaderboard/",
        "leaderboard, last month": f"leaderboard/?month={last_month:%Y-%m}",
        "my shields": "shields/",
        "my truce": "truce/",
    }
    return {name: f"/api/heists/{path}" for name, path in pages.items()} | {
        "points": "/api/leaderboard/",
        "points, last month": f"/api/leaderboard/?month={last_month:%Y-%m}",
    }


def client(player: Any) -> APIClient:
    """Return a client that is signed in as this player."""
    api = APIClient(SERVER_NAME="127.0.0.1")
    api.force_authenticate(player)
    return api


def get(client: Any, path: str) -> None:
    response = client.get(path)
    assert response.status_code == HTTPStatus.OK, (path, response.status_code)


def measure(*, rounds: int, calls: int) -> dict[str, dict[str, Any]]:
    """Return each page's milliseconds, the median of the rounds' medians over many players, and its statements."""
    players = [client(player) for player in get_user_model().objects.filter(pk__in=veterans(calls), is_active=True)]
    figures = {}
    for name, path in paths().items():
        # The first round warms caches and prepared statements.
        taken = [median(_milliseconds(player, path) for player in players) for _ in range(rounds + 1)]
        with CaptureQueriesContext(connection) as done:
            get(players[0], path)
        figures[name] = {"ms": round(median(taken[1:]), 2), "statements": len(done)}
    return figures


def _milliseconds(player: Any, path: str) -> float:
    begun = time.perf_counter()
    get(player, path)
    return (time.perf_counter() - begun) * 1000
