"""Two processes of the site with set clocks: both judge by the new rules from the exact moment on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from heists import conf
from heists.models import Heist
from heists.services import change_rules, switch_heists
from tests import ROOT
from tests.factories import player

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("rule_changes")]

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MICRO, SECOND, MINUTE = (dt.timedelta(**{unit: 1}) for unit in ("microseconds", "seconds", "minutes"))

# Reads lines "time attacker victim", robs at this time by every clock, and writes "percentage points reads".
PROCESS = """
import datetime as dt, sys
from types import SimpleNamespace
import django
django.setup()
from django.utils import timezone
from heists import in_force
from heists.errors import FeatureDisabled
from heists.services import execute_heist
reads, read = [], in_force._read
in_force._read = lambda using: reads.append(using) or read(using)
for line in sys.stdin:
    time, attacker, victim = line.split()
    now = dt.datetime.fromisoformat(time)
    timezone.now = lambda: now
    in_force.time = SimpleNamespace(monotonic=now.timestamp, time=now.timestamp)
    try:
        heist = execute_heist(attacker_id=attacker, victim_id=victim)
        print(heist.rule_set.steal_percentage, heist.points_stolen, len(reads), flush=True)
    except FeatureDisabled:
        print("off", 0, len(reads), flush=True)
"""


class Process:
    def __init__(self, running: subprocess.Popen[str]) -> None:
        self.running = running

    def rob(self, at: dt.datetime) -> tuple[str, int, int]:
        """Rob at this time; return the percentage or "off", the points, and how often it has read the changes."""
        attacker, victim = player(tokens=1), player(points=1000)
        assert self.running.stdin
        assert self.running.stdout
        self.running.stdin.write(f"{at.isoformat()} {attacker.pk} {victim.pk}\n")
        self.running.stdin.flush()
        percentage, points, reads = self.running.stdout.readline().split()
        return percentage, int(points), int(reads)


@contextmanager
def processes(number: int) -> Iterator[list[Process]]:
    server = urlsplit(os.environ["DATABASE_URL"])
    environment = os.environ | {
        "DATABASE_URL": server._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
        "PYTHONPATH": str(ROOT),
    }
    running: list[Any] = []
    try:
        for _ in range(number):
            running.append(
                subprocess.Popen(
                    [sys.executable, "-c", PROCESS],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        yield [Process(process) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_two_processes_and_one_that_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    rules = dataclasses.replace(conf.rules(), steal_percentage=8)
    turn = NOON + MINUTE
    with processes(2) as (busy, sleeper):
        assert [busy.rob(NOON), sleeper.rob(NOON)] == [("5", 50, 1)] * 2

        change_rules(rules=rules, takes_effect_at=turn, changed_by=None, reason="a try")

        # One reads twice in this minute, and not at the turn; the other slept all the time.
        assert busy.rob(NOON + 10 * SECOND) == ("5", 50, 1)
        assert busy.rob(turn - 5 * SECOND) == ("5", 50, 2)
        assert busy.rob(turn - MICRO) == ("5", 50, 2)
        assert busy.rob(turn) == ("8", 80, 2)
        assert sleeper.rob(turn) == ("8", 80, 2)

        monkeypatch.setattr(timezone, "now", lambda: turn)
        switch_heists(enabled=False, changed_by=None, reason="a bug")

        # The busy process knows it ten seconds after it read; the other sleeps again.
        assert busy.rob(turn + 6 * SECOND) == ("off", 0, 3)
        assert sleeper.rob(turn + 11 * SECOND) == ("off", 0, 3)

        monkeypatch.setattr(timezone, "now", lambda: turn + 12 * SECOND)
        switch_heists(enabled=True, changed_by=None, reason="mended")

        assert busy.rob(turn + 17 * SECOND) == ("8", 80, 4)
        assert sleeper.rob(turn + 22 * SECOND) == ("8", 80, 4)
    assert Heist.objects.count() == 9
