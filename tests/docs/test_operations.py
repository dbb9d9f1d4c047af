"""The commands and settings of docs/operations.md do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from config import checks
from tests import ROOT
from tests.config.test_settings import PRODUCTION, read
from tests.factories import player
from tests.servers import POSTGRESQL

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(section: str, language: str) -> list[str]:
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def variables(section: str) -> dict[str, str]:
    """The environment that the blocks of a section set."""
    lines = [line for block in blocks(section, "sh") for line in block.splitlines()]
    found = [re.fullmatch(r"([A-Z_]+)=\"?(.*?)\"?", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_the_settings_of_each_step_are_those_of_the_site(tmp_path: Path) -> None:
    environment = PRODUCTION | variables("One machine") | variables("Several web hosts") | variables("A replica")
    environment |= {"DATABASE_URL": variables("Several web hosts")["DATABASE_URL"]} | PRODUCTION

    databases, caches, heists = read(tmp_path, "DATABASES", "CACHES", "HEISTS", **environment)

    assert (databases["default"]["HOST"], databases["default"]["PORT"]) == ("10.0.0.3", 6432)
    assert databases["replica"]["HOST"] == "10.0.0.2"
    assert [databases[alias]["DISABLE_SERVER_SIDE_CURSORS"] for alias in databases] == [True, True]
    assert caches["default"]["LOCATION"] == ["redis://10.0.0.5:6379/1"]
    assert (heists["TRUSTED_PROXIES"], heists["SITE_URL"]) == (1, "https://heists.example.com")
    options = read(tmp_path, "DATABASES", **PRODUCTION, **variables("Fail-over"))["default"]["OPTIONS"]
    assert (options["host"], options["target_session_attrs"]) == ("10.0.0.1,10.0.0.2", "read-write")


def test_the_checks_are_listed() -> None:
    source = Path(checks.__file__).read_text(encoding="utf-8")
    ids = set(re.findall(r'id="(config\.\w+)"', source))

    assert ids == set(re.findall(r"^\| `(config\.\w+)` \|", PAGE, re.M))
    for message in re.findall(r'(?:Error|Warning)\(\s*"([^"]+)"', source):
        assert message in PAGE


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_numbers_to_watch_can_be_read() -> None:
    [queries] = blocks("Logs and metrics", "sql")

    with connection.cursor() as cursor:
        for query in queries.split(";")[:-1]:
            cursor.execute(query)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_back_up_is_restored_and_audited(tmp_path: Path) -> None:
    dump, restore, _base = blocks("Back-up and restore", "sh")
    player(points=50, tokens=1)
    name, url = connection.settings_dict["NAME"], urlsplit(os.environ["DATABASE_URL"])
    restored = f"{name}_restored"
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{POSTGRESQL}:{os.environ['PATH']}",
        "DATABASE_URL": url._replace(path=f"/{name}").geturl(),
        "RESTORED_URL": url._replace(path=f"/{restored}").geturl(),
        "PYTHONPATH": str(ROOT),
    }
    script = (dump + restore).replace("manage.py", str(ROOT / "manage.py"))
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{restored}"')
        try:
            done = subprocess.run(
                ["bash", "-eu", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
            )
        finally:
            cursor.execute(f'DROP DATABASE "{restored}" WITH (FORCE)')

    assert done.returncode == 0, done.stderr
    assert "no difference" in done.stdout
