"""Measure the service calls of the tree in the current directory, and prepare its HTTP requests.

`benchmarks.against` runs this file in two trees, so it uses public names only. Its argument is the number of heists in
the world that it seeds. Each line on standard input is a call of `services` or `requests` in JSON, `[name, argument…]`,
and each answer a line of JSON.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

# The tree's own packages, not the neighbours of this file.
sys.path[0] = os.getcwd()

import django

django.setup()

import logging

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from knox.models import AuthToken
from rest_framework.test import APIClient

from gamification.models import PlayerProfile
from heists.economy import get_economy
from heists.models import Heist, HeistToken
from heists.services import execute_heist, grant_tokens

HOST_SECONDS = 0.0
READERS = 16


def timed(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of the host's economy, which adds its CPU time to HOST_SECONDS."""

    def run(*args: Any) -> Any:
        global HOST_SECONDS
        begun = time.process_time()
        try:
            return call(*args)
        finally:
            HOST_SECONDS += time.process_time() - begun

    return run


def players(count: int, *, points: int, tokens: int) -> list[Any]:
    """Insert players with an email address, points and tokens; return their primary keys."""
    names = [f"p{uuid.uuid4().hex[:20]}" for _ in range(count)]
    User = get_user_model()
    users = User.objects.bulk_create([User(username=name, email=f"{name}@example.com") for name in names])
    profiles = [
        PlayerProfile(user=user, points=points, monthly_points=points, referral_code=secrets.token_hex(6).upper())
        for user in users
    ]
    PlayerProfile.objects.bulk_create(profiles)
    HeistToken.objects.bulk_create([HeistToken(user=user, balance=tokens, total_earned=tokens) for user in users])
    return [user.pk for user in users]


def cpu_ms(calls: list[Callable[[], Any]]) -> float:
    begun = time.process_time()
    for call in calls:
        call()
    return (time.process_time() - begun) * 1000 / len(calls)


def services(count: int) -> dict[str, float]:
    """Return the mean milliseconds of this process's CPU for a call, by service."""
    global HOST_SECONDS
    attackers, victims = players(count, points=1000, tokens=1), players(count, points=1000, tokens=0)
    pairs = list(zip(attackers, victims, strict=True))

    def executing(attacker: Any, victim: Any) -> Callable[[], Any]:
        key = str(uuid.uuid4())
        return lambda: execute_heist(
            attacker_id=attacker, victim_id=victim, ip_address="203.0.113.9", idempotency_key=key
        )

    def granting(user: Any) -> Callable[[], Any]:
        return lambda: grant_tokens(player=user, amount=1, reason="PROMOTION", source=uuid.uuid4().hex)  # type: ignore[arg-type]

    def reading(user: Any, path: str) -> Callable[[], Any]:
        client = APIClient(SERVER_NAME="127.0.0.1")
        client.force_authenticate(user)

        def get() -> None:
            answer = client.get(f"/api/heists/{path}")
            assert answer.status_code == 200, (path, answer.content)

        return get

    readers = list(get_user_model().objects.filter(pk__in=victims))

    HOST_SECONDS = 0.0
    execution = cpu_ms([executing(*pair) for pair in pairs])
    host = HOST_SECONDS * 1000 / count
    return {
        "execution": execution,
        "execution, the host's lock and transfer": host,
        "execution, our own": execution - host,
        # The attackers have no token left.
        "rejection": cpu_ms([executing(*pair) for pair in pairs]),
        "grant": cpu_ms([granting(user) for user in readers]),
        "preview": cpu_ms([reading(user, f"targets/{attackers[0]}/") for user in readers]),
        "target list": cpu_ms([reading(user, "targets/") for user in readers]),
        "balance": cpu_ms([reading(user, "token/") for user in readers]),
    }


def requests(count: int, reads: dict[str, str]) -> dict[str, list[Any]]:
    """Return this many requests to each path, by name, and as many heists of new pairs: values of `load.Call`."""
    # Players with a history, the same ones in the same world.
    readers = list(
        dict.fromkeys(Heist.objects.filter(token_spent=True).order_by("pk").values_list("attacker", flat=True))
    )
    tokens = [token(key) for key in readers[:READERS]]
    calls = {name: [("GET", path, tokens[n % len(tokens)]) for n in range(count)] for name, path in reads.items()}
    attackers, victims = players(count, points=1000, tokens=1), players(count, points=1000, tokens=0)
    robberies = [
        ("POST", "/api/heists/", token(attacker), {"victim": victim}, (201,))
        for attacker, victim in zip(attackers, victims, strict=True)
    ]
    return {**calls, "rob, distinct pairs": robberies}


def token(player: Any) -> str:
    return str(AuthToken.objects.create(user=get_user_model()(pk=player))[1])


def main(heists: int) -> None:
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    call_command("seed_demo", heists=heists, verbosity=0, stdout=sys.stderr)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    economy = type(get_economy())
    for name in ("lock", "transfer"):
        setattr(economy, name, timed(getattr(economy, name)))
    answers: dict[str, Callable[..., Any]] = {"services": services, "requests": requests}
    # A full collection of what the seeding left behind would fall on some calls and not on others.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(answers[what](*arguments)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
