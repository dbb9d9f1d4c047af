"""The answers of the API do not depend on the host's settings."""

from __future__ import annotations

import subprocess
import sys

from tests import ROOT

TESTS = [
    "heists",
    "mounting",
    "notifications",
    "privacy",
    "problems",
    "reading",
    "shields",
    "stateless",
    "targets",
    "times",
]
TIMEOUT_SECONDS = 300


def test_the_tests_of_the_api_pass_under_hostile_settings() -> None:
    """In a process of its own, because DRF reads most of its settings when classes are created."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"),
            "--database=sqlite",
            "--ds=tests.hostile.settings",
            *(f"tests/heists/api/test_{name}.py" for name in TESTS),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        cwd=ROOT,
    )

    assert run.returncode == 0, run.stdout + run.stderr
