"""A short form of the chaos; `python -m tests.chaos` plays the whole minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests import ROOT


@pytest.mark.postgresql
def test_nothing_is_lost_while_everything_is_killed() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seconds=12", "--json"],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    tally = json.loads(run.stdout.splitlines()[-1])
    assert (tally["differences"], tally["disagreements"]) == (0, 0)
    assert tally["outcomes"] > 0 and tally["restarts"] > 0 and tally["cut"] > 0
