"""Schemathesis against a running site: no 5xx, no undocumented status, no answer that violates the schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import RequestsClient

from heists.services import execute_heist
from tests import ROOT
from tests.factories import PASSWORD, player

TIMEOUT_SECONDS = 600
# All but sign-out and password change, which end the fuzzer's token.
OPERATIONS = "^/api/(heists|leaderboard|signup|auth/login)/"


@pytest.mark.django_db(transaction=True)
def test_schemathesis_finds_nothing(live_server: Any, settings: Any) -> None:
    # Otherwise most requests would end in a 429 or in the cooldown.
    settings.HEISTS = {
        **settings.HEISTS,
        "RATE_LIMIT_PER_MINUTE": 10**6,
        "READ_RATE_LIMIT_PER_MINUTE": 10**6,
        "COOLDOWN_HOURS": 0,
    }
    settings.SIGNUP_RATE_LIMIT_PER_MINUTE = settings.LOGIN_RATE_LIMIT_PER_MINUTE = 10**6
    me, other = player("me", points=1000, tokens=100, coins=1000), player("other", points=1000, tokens=5)
    execute_heist(attacker_id=me.pk, victim_id=other.pk)
    execute_heist(attacker_id=other.pk, victim_id=me.pk)
    execute_heist(attacker_id=me.pk, victim_id=other.pk)
    login = RequestsClient().post(f"{live_server.url}/api/auth/login/", json={"username": "me", "password": PASSWORD})

    run = subprocess.run(
        [
            *(
                str(Path(sys.executable).with_name("schemathesis")),
                "--config-file",
                "tests/heists/api/schemathesis.toml",
            ),
            *("run", f"{live_server.url}/api/schema/?format=json"),
            *("--include-path-regex", OPERATIONS, "--checks", "all", "--max-examples", "8"),
            *("--header", f"Authorization: Token {login.json()['token']}", "--seed", "1", "--no-color"),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        cwd=ROOT,
    )

    assert run.returncode == 0, run.stdout + run.stderr
