"""The settings as the environment makes them, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gamification.conf import SETTINGS as REFERRAL_SETTINGS
from heists.conf import DEFAULTS

ROOT = Path(__file__).resolve().parent.parent.parent
SITE = "https://game.example.com"
PRODUCTION = {"SECRET_KEY": "x7Gd!s0-not-the-real-one-but-long-enough-to-pass-as-one-4Kq"}


def run(tmp_path: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=kept | {"ENV_FILE": os.devnull, "VAR_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def read(tmp_path: Path, *names: str, **environment: str) -> Any:
    script = f"import json, config.settings as s; print(json.dumps([getattr(s, n) for n in {names!r}], default=str))"
    done = run(tmp_path, "-c", script, **environment)
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    return values[0] if len(names) == 1 else values


def test_production_does_not_start_without_a_secret(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check")

    assert done.returncode == 1
    assert "Set SECRET_KEY" in done.stderr


def test_production_rejects_the_demo_secret(tmp_path: Path) -> None:
    demo = read(tmp_path, "SECRET_KEY", DEBUG="true")

    done = run(tmp_path, "manage.py", "check", SECRET_KEY=demo)

    assert done.returncode == 1
    assert "Set SECRET_KEY" in done.stderr


def test_a_secret_may_begin_with_a_dollar_sign(tmp_path: Path) -> None:
    assert read(tmp_path, "SECRET_KEY", SECRET_KEY="$HOME") == "$HOME"


def test_production_passes_the_deployment_checks(tmp_path: Path) -> None:
    services = {"CACHE_URL": "redis://127.0.0.1:6379/1", "HEIST_SITE_URL": SITE}

    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **services)

    assert done.returncode == 0, done.stderr


def test_https_is_the_default_and_plain_http_has_to_be_chosen(tmp_path: Path) -> None:
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")

    assert read(tmp_path, *names, **PRODUCTION) == [True, True, True, 31_536_000]
    assert read(tmp_path, *names, INSECURE_HTTP="true", **PRODUCTION) == [False, False, False, 0]


NAMES = ("REST_FRAMEWORK", "REST_KNOX", "SIGNUP_RATE_LIMIT_PER_MINUTE", "LOGIN_RATE_LIMIT_PER_MINUTE")
PROXY = "import config.settings as s; print(getattr(s, 'SECURE_PROXY_SSL_HEADER', None))"


def test_limits_and_what_a_client_is_believed_are_strict_unless_the_environment_changes_them(tmp_path: Path) -> None:
    strict = read(tmp_path, *NAMES, **PRODUCTION)
    changes = {"BROWSABLE_API": "true", "HEIST_TRUSTED_PROXIES": "2", "LOGIN_TOKEN_HOURS": "5"}
    changes |= {"SIGNUP_RATE_LIMIT_PER_MINUTE": "7", "LOGIN_RATE_LIMIT_PER_MINUTE": "8"}
    changed = read(tmp_path, *NAMES, **PRODUCTION, **changes)

    for (api, sign_in, *limits), expected in (
        (strict, (1, 0, "30 days, 0:00:00", [30, 60])),
        (changed, (2, 2, "5:00:00", [7, 8])),
    ):
        found = (len(api["DEFAULT_RENDERER_CLASSES"]), api["NUM_PROXIES"], sign_in["TOKEN_TTL"], limits)
        assert found == expected
    assert run(tmp_path, "-c", PROXY, **PRODUCTION).stdout == "None\n"
    behind = run(tmp_path, "-c", PROXY, BEHIND_TLS_PROXY="true", **PRODUCTION)
    assert behind.stdout == "('HTTP_X_FORWARDED_PROTO', 'https')\n"


def test_a_transaction_of_sqlite_waits_for_its_turn_when_it_begins(tmp_path: Path) -> None:
    options = read(tmp_path, "DATABASES", **PRODUCTION)["default"]["OPTIONS"]

    assert (options["transaction_mode"], options["timeout"]) == ("IMMEDIATE", 20)


def test_a_mail_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    script = (
        "import config.settings as s;"
        "print(s.MAILERS['default']['OPTIONS']['timeout'] if hasattr(s, 'MAILERS') else s.EMAIL_TIMEOUT)"
    )

    assert run(tmp_path, "-c", script, EMAIL_URL="smtp+tls://a:b@127.0.0.1:9", **PRODUCTION).stdout == "10\n"


def test_heists_keeps_its_defaults_unless_the_environment_changes_them(tmp_path: Path) -> None:
    host = {
        "ECONOMY": "gamification.economy.GamificationEconomy",
        "POINT_EVENT_TYPE_MODEL": "gamification.PointEventTypeMaster",
    }

    silent = read(tmp_path, "HEISTS", HEIST_COOLDOWN_HOURS="", **PRODUCTION)
    spoken = read(
        tmp_path,
        "HEISTS",
        HEIST_ENABLED="false",
        HEIST_COOLDOWN_HOURS="0",
        HEIST_STEAL_PERCENTAGE="0.05",
        HEIST_EMAIL_ENABLED="perhaps",
        **PRODUCTION,
    )

    assert silent == host
    assert spoken == host | {
        "ENABLED": False,
        "COOLDOWN_HOURS": 0,
        "STEAL_PERCENTAGE": 0.05,
        "EMAIL_ENABLED": "perhaps",
    }


def test_the_environment_sets_when_referrals_are_paid(tmp_path: Path) -> None:
    assert read(tmp_path, "GAMIFICATION", REFERRAL_MONTHLY_CAP=" ", **PRODUCTION) == {}
    spoken = read(
        tmp_path,
        "GAMIFICATION",
        REFERRAL_MEMBER_HOURS="24",
        REFERRAL_EARNED_POINTS="0",
        REFERRAL_MONTHLY_CAP="ten",
        **PRODUCTION,
    )

    assert spoken == {"REFERRAL_MEMBER_HOURS": 24, "REFERRAL_EARNED_POINTS": 0, "REFERRAL_MONTHLY_CAP": "ten"}


def test_every_setting_of_the_game_is_documented_beside_the_others() -> None:
    example = (ROOT / ".env.example").read_text()
    settings = (ROOT / "config" / "settings.py").read_text()

    # The example site chooses these itself.
    own = {"ECONOMY", "POINT_EVENT_TYPE_MODEL", "THROTTLE_CACHE"}
    assert {key for key in REFERRAL_SETTINGS if f"#{key}=" not in example} == set()
    assert {key for key in DEFAULTS if f"#HEIST_{key}=" not in example} == own
    named = {line[1:].split("=")[0] for line in example.splitlines() if line.startswith("#") and "=" in line[:40]}
    read_by_server = {"HOST", "PORT", "WEB_CONCURRENCY", "WEB_THREADS", "ACCESS_LOG", *REFERRAL_SETTINGS}
    assert {name for name in named if name.isupper() and not name.startswith("HEIST_")} - read_by_server <= {
        word.strip("\"'(),") for word in settings.replace("(", " ").split()
    }


def test_postgresql_is_pooled_on_request(tmp_path: Path) -> None:
    url = "postgres://somebody@localhost/heists"

    plain = read(tmp_path, "DATABASES", DATABASE_URL=url, **PRODUCTION)["default"]
    pooled = read(tmp_path, "DATABASES", DATABASE_URL=url, DATABASE_POOL="true", **PRODUCTION)["default"]

    assert (plain["CONN_MAX_AGE"], plain["CONN_HEALTH_CHECKS"]) == (60, True)
    assert (pooled["CONN_MAX_AGE"], pooled["OPTIONS"]["pool"]["max_size"]) == (0, 10)


def test_emails_become_files_in_the_demo_and_are_sent_elsewhere(tmp_path: Path) -> None:
    script = (
        "import config.wsgi; from django.core.mail import EmailMessage; m = EmailMessage('s', 'b', to=['a@b.test'])"
    )

    demo = run(tmp_path, "-c", f"{script}; m.send()", DEBUG="true")
    real = run(tmp_path, "-c", f"{script}; m.send()", EMAIL_URL="smtp+tls://a:b@127.0.0.1:9", **PRODUCTION)

    assert demo.returncode == 0, demo.stderr
    assert "To: a@b.test" in next((tmp_path / "mail").iterdir()).read_text()
    assert "ConnectionRefusedError" in real.stderr
