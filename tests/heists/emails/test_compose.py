"""The text and the headers of an email."""

from __future__ import annotations

import datetime as dt
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.signing import Signer
from django.template.utils import get_app_template_dirs
from django.utils import timezone, translation
from pytest_django import Settings

from heists.choices import GrantReason, HeistNotificationType
from heists.economy import get_economy
from heists.emails import unsubscribe
from heists.emails.compose import ListUnsubscribeHeader, compose, unsubscribe_path
from tests.conftest import HeistSettings
from tests.factories import player
from tests.heists.conftest import SITE, EmailTo

pytestmark = pytest.mark.django_db

UNTIL = dt.datetime(2026, 3, 4, 17, 30, tzinfo=dt.UTC)
DETAILS: dict[str, dict[str, Any]] = {
    "HEIST_SUCCESS": {"victim_name": "carol", "points": 50},
    "HEIST_VICTIM": {"attacker_name": "alice", "points": 50, "protection_until": UNTIL},
    "TOKEN_EARNED": {"reason": GrantReason.REFERRAL, "amount": 1, "referred_name": "dave"},
    "SHIELD_ACTIVATED": {"attacker_name": "alice"},
    "SHIELD_EXPIRED": {},
    "HEIST_REVERSED": {"attacker_name": "alice", "victim_name": "bob", "points": 50, "note": "Sorry."},
}


def composed(email: Any) -> Any:
    """Return the message as a mail program reads it."""
    message = compose(email, to="bob@example.com", economy=get_economy())
    return message_from_bytes(message.message().as_bytes(), policy=policy.default)


def parts(message: Any) -> tuple[str, str]:
    return message.get_body(["plain"]).get_content(), message.get_body(["html"]).get_content()


@pytest.mark.parametrize("type", HeistNotificationType)
def test_every_type_has_a_subject_a_text_and_a_page(email_to: EmailTo, type: HeistNotificationType) -> None:
    email = email_to(player("bob", email="bob@example.com"), type, **DETAILS[type])

    message = composed(email)

    text, html = parts(message)
    assert message["Subject"]
    for content in (text, html):
        assert email.notification.message in content.replace("&#x27;", "'")
        assert "bob" in content
        assert SITE in content
    for name in ("alice", "carol", "dave"):
        if name in str(DETAILS[type].values()):
            assert name in text
            assert name in html
    assert "{" not in text
    assert "{%" not in html


def test_the_end_of_protection_is_in_the_sites_time_zone(
    email_to: EmailTo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    monkeypatch.setattr(timezone, "now", lambda: UNTIL - dt.timedelta(microseconds=1))
    email = email_to(player("bob", email="bob@example.com"), "HEIST_VICTIM", **DETAILS["HEIST_VICTIM"])

    text, html = parts(composed(email))

    assert "March 4, 2026, 6:30 p.m." in text
    assert "March 4, 2026, 6:30 p.m." in html

    # A late email does not promise what is over.
    monkeypatch.setattr(timezone, "now", lambda: UNTIL)
    assert not any("Nobody can rob you" in part for part in parts(composed(email)))


def test_names_add_no_headers_and_no_markup(email_to: EmailTo) -> None:
    nasty = "eve\r\nBcc: everybody@example.com <script>alert(1)</script> & co"
    email = email_to(player("bob", email="bob@example.com"), "SHIELD_ACTIVATED", attacker_name=nasty)

    message = composed(email)

    text, html = parts(message)
    assert message["Bcc"] is None
    assert "eve Bcc: everybody@example.com" in message["Subject"]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<script>alert(1)</script> & co" in text


def test_a_name_in_any_script_is_unchanged(email_to: EmailTo) -> None:
    email = email_to(player("bob", email="bob@example.com"), "SHIELD_ACTIVATED", attacker_name="Ελένη 🦊")

    message = composed(email)

    assert "Ελένη 🦊" in message["Subject"]
    assert "Ελένη 🦊" in parts(message)[0]


def test_one_click_headers_and_message_id(email_to: EmailTo) -> None:
    email = email_to(player("bob", email="bob@example.com"))

    message = composed(email)

    link = message["List-Unsubscribe"].strip().strip("<>")
    assert link.startswith(f"{SITE}/api/heists/unsubscribe/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Message-ID"] == f"<heist-email-{email.pk}@game.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert all(link in part for part in parts(message))


def test_a_long_link_stays_on_one_line_of_the_header() -> None:
    # As Django 6.0 makes it.
    message, link = EmailMessage(policy=policy.SMTP), f"<{SITE}/{'é' * 50}/{'a' * 200}>"

    message["List-Unsubscribe"] = ListUnsubscribeHeader(link)

    assert f"List-Unsubscribe: {link}\r\n" in message.as_string()


@pytest.mark.parametrize("sender", ["", "no-reply@"])
def test_without_any_domain_a_message_id_has_one_too(email_to: EmailTo, settings: Settings, sender: str) -> None:
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": "", "EMAIL_FROM": sender}
    settings.DEFAULT_FROM_EMAIL = sender
    email = email_to(player("bob", email="bob@example.com"))

    message = compose(email, to="bob@example.com", economy=get_economy())

    assert message.extra_headers["Message-ID"] == f"<heist-email-{email.pk}@localhost>"


def test_without_site_url_there_is_no_link_and_no_header(email_to: EmailTo, settings: Settings) -> None:
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": ""}
    settings.DEFAULT_FROM_EMAIL = "Heists <no-reply@mail.example>"
    email = email_to(player("bob", email="bob@example.com"))

    message = composed(email)

    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None
    assert message["Message-ID"].endswith("@mail.example>")
    assert not any("http" in part for part in parts(message))


def test_without_heists_urls_there_is_no_link(email_to: EmailTo, settings: Settings) -> None:
    email = email_to(player("bob", email="bob@example.com"))
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    assert composed(email)["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("urlconf", "path"),
    [
        ("other_prefix", "/a/b/unsubscribe/token/"),
        ("namespace", "/api/unsubscribe/token/"),
        ("two_namespaces", "/v1/api/unsubscribe/token/"),
        ("renamed", "/api/unsubscribe/token/"),
        ("captured", ""),
        ("captured_and_fixed", "/heists/unsubscribe/token/"),
        ("languages", "/de/heists/unsubscribe/token/"),
        ("without_heists", ""),
    ],
)
def test_the_link_is_found_wherever_heists_is_mounted(settings: Settings, urlconf: Any, path: Any) -> None:
    settings.ROOT_URLCONF = f"tests.heists.emails.urlconfs.{urlconf}"

    with translation.override("de"):
        assert unsubscribe_path("token") == path


def test_a_defect_of_the_hosts_urls_is_not_taken_for_a_missing_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.emails.compose.reverse", lambda *args, **options: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        unsubscribe_path("token")


def test_the_sender_is_email_from_or_default_from_email(
    email_to: EmailTo, heist_settings: HeistSettings, settings: Settings
) -> None:
    settings.DEFAULT_FROM_EMAIL = "Site <site@example.com>"
    email = email_to(player("bob", email="bob@example.com"))

    assert composed(email)["From"] == "Site <site@example.com>"
    heist_settings(EMAIL_FROM="Game <game@example.com>")
    assert composed(email)["From"] == "Game <game@example.com>"


def test_a_host_overrides_a_template_by_a_file_of_the_same_path(
    email_to: EmailTo, settings: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "heists" / "email"
    folder.mkdir(parents=True)
    (folder / "shield_expired_subject.txt").write_text("Unarmed, {{ player_name }}!")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    email = email_to(player("bob", email="bob@example.com"))

    assert composed(email)["Subject"] == "Unarmed, bob!"


def test_an_email_is_in_its_players_language(email_to: EmailTo, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def language(self: Any, user: Any) -> str:
        asked.append(user.username)
        return "ar"

    monkeypatch.setattr(type(get_economy()), "language", language, raising=False)
    email = email_to(player("bob", email="bob@example.com"), "HEIST_VICTIM", **DETAILS["HEIST_VICTIM"])

    _text, html = parts(composed(email))

    assert '<html lang="ar" dir="rtl">' in html
    assert asked == ["bob"]


@pytest.mark.parametrize(
    ("spoken", "sentence"),
    [
        ("de", "Dein Schild ist ungenutzt abgelaufen."),
        ("es", "Tu escudo caducó sin usarse."),
        # The site's language, and not the one of who sends the emails.
        (None, "Your shield expired without being used."),
        ("", "Your shield expired without being used."),
    ],
)
def test_the_sentence_is_translated_again_for_each_player(
    email_to: EmailTo, monkeypatch: pytest.MonkeyPatch, spoken: str | None, sentence: str
) -> None:
    monkeypatch.setattr(type(get_economy()), "language", lambda self, user: spoken, raising=False)
    email = email_to(player("bob", email="bob@example.com"), "SHIELD_EXPIRED")

    with translation.override("de"):
        message = composed(email)

    assert all(sentence in part for part in parts(message))


def test_without_metadata_the_stored_message_is_used(email_to: EmailTo) -> None:
    email = email_to(player("bob", email="bob@example.com"), "HEIST_VICTIM", **DETAILS["HEIST_VICTIM"])
    email.notification.metadata = None
    email.notification.message = "The stored message."

    text, html = parts(composed(email))

    assert "The stored message." in text
    assert "The stored message." in html


def test_a_token_names_its_player_and_type_and_is_not_forgeable(email_to: EmailTo) -> None:
    bob = player("bob")
    token = unsubscribe.token(bob, "HEIST_VICTIM")

    assert unsubscribe.read(token) == (bob.pk, "HEIST_VICTIM")
    for forged in (token[:-1], "x" + token, "", "a:b:c", Signer(salt="other").sign("[1]"), "é"):
        assert unsubscribe.read(forged) is None


def test_every_template_belongs_to_a_type_or_is_a_base() -> None:
    [folder] = [
        path / "heists" / "email" for path in get_app_template_dirs("templates") if path.parent.name == "heists"
    ]
    expected = {"base.txt", "base.html"} | {
        f"{type.lower()}{kind}" for type in HeistNotificationType.values for kind in (".txt", ".html", "_subject.txt")
    }

    assert {path.name for path in Path(folder).iterdir()} == expected


def test_a_subject_has_150_characters_at_most(email_to: EmailTo, settings: Any, tmp_path: Path) -> None:
    folder = tmp_path / "heists" / "email"
    folder.mkdir(parents=True)
    (folder / "shield_expired_subject.txt").write_text("longer " * 30)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert composed(email_to(player("bob", email="bob@example.com")))["Subject"] == ("longer " * 30)[:150]
