"""The site under ASGI keeps no connection after a request, unless its operator says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import ROOT

REPORT = "from django.conf import settings; import sys; print(settings.DATABASES['default']['CONN_MAX_AGE'])"


@pytest.mark.parametrize(
    ("module", "given", "kept"), [("asgi", None, "0"), ("asgi", "30", "30"), ("wsgi", None, "60"), ("wsgi", "30", "30")]
)
def test_how_long_a_connection_is_kept(module: str, given: str | None, kept: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "DJANGO_"))}
    environment |= {
        "SECRET_KEY": "x" * 50,
        "DATABASE_URL": "postgres://nobody@localhost/nothing",
        "ENV_FILE": os.devnull,
    }
    if given:
        environment["DATABASE_CONN_MAX_AGE"] = given

    said = subprocess.run(
        [sys.executable, "-c", f"import config.{module}; {REPORT}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert said.stdout.strip() == kept
