"""The unsubscribe link: a page with buttons for people, one POST for mail providers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from pytest_django import Settings

from heists.choices import HeistNotificationType
from heists.emails import unsubscribe
from heists.errors import Busy
from heists.models import EmailPreference
from tests.factories import player

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=True)


def link(user: Any, type: str = "HEIST_VICTIM") -> str:
    return f"/api/heists/unsubscribe/{unsubscribe.token(user, type)}/"


def test_a_scanner_that_follows_the_link_changes_nothing(browser: Client) -> None:
    bob = player("bob")

    pages = [browser.get(link(bob)), browser.head(link(bob))]

    assert [page.status_code for page in pages] == [200, 200]
    assert b"<form" in pages[0].content
    assert not EmailPreference.objects.exists()


@pytest.mark.parametrize(
    ("address", "links"), [("https://game.example.com", [b'<a href="https://game.example.com/">']), ("", [])]
)
def test_the_page_leads_back_to_the_game_where_its_address_is_known(
    browser: Client, heist_settings: Any, address: str, links: list[bytes]
) -> None:
    heist_settings(SITE_URL=address)

    page = browser.post(link(player()), {"emails": "all"})

    assert re.findall(rb"<a [^>]*>", page.content) == links


def test_the_one_click_post_stops_all_emails_without_login_or_csrf(browser: Client) -> None:
    bob = player("bob")

    page = browser.post(link(bob), {"List-Unsubscribe": "One-Click"})

    assert page.status_code == 200
    assert EmailPreference.objects.get(player=bob).muted


def test_the_buttons_stop_all_emails_or_one_type(browser: Client) -> None:
    bob, carol = player("bob"), player("carol")

    browser.post(link(bob), {"emails": "type"})
    browser.post(link(carol), {"emails": "all"})

    preferences = {p.player: p for p in EmailPreference.objects.all()}
    assert (preferences[bob].muted, preferences[bob].muted_types) == (False, ["HEIST_VICTIM"])
    assert preferences[carol].muted


def test_types_add_up(browser: Client) -> None:
    bob = player("bob")

    for type in ("HEIST_VICTIM", "TOKEN_EARNED", "HEIST_VICTIM"):
        browser.post(link(bob, type), {"emails": "type"})

    assert set(EmailPreference.objects.get(player=bob).muted_types) == {"HEIST_VICTIM", "TOKEN_EARNED"}


@pytest.mark.parametrize("token", ["nonsense", "a:b:c", "%00", "é"])
def test_a_forged_link_is_not_found(browser: Client, token: Any) -> None:
    url = f"/api/heists/unsubscribe/{token}/"

    assert [browser.get(url).status_code, browser.post(url).status_code] == [404, 404]
    assert not EmailPreference.objects.exists()


def test_a_link_signed_by_another_key_is_not_found(browser: Client, settings: Settings) -> None:
    token = unsubscribe.token(player("bob"), "HEIST_VICTIM")
    settings.SECRET_KEY = "another site's key, which is long enough to be one"

    assert browser.post(f"/api/heists/unsubscribe/{token}/").status_code == 404


def test_a_link_of_another_tenant_is_not_found(browser: Client) -> None:
    bob = player("bob")
    url = link(bob)
    assert browser.get(url).status_code == 200

    with another_tenant():
        status = browser.post(url).status_code

    assert status == 404
    assert not EmailPreference.objects.exists()


@contextmanager
def another_tenant() -> Iterator[None]:
    """A second schema on PostgreSQL, another file on SQLite."""
    if connection.vendor == "sqlite":
        name = connection.settings_dict["NAME"]
        connection.settings_dict["NAME"] = "other.sqlite3"
        yield
        connection.settings_dict["NAME"] = name
    else:
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA other")
            cursor.execute("SET LOCAL search_path TO other, public")
            yield
            cursor.execute("SET LOCAL search_path TO DEFAULT")


@pytest.mark.parametrize(("name", "value"), [("HOST", "standby"), ("PORT", "6543"), ("USER", "other")])
def test_a_link_outlives_a_failover(browser: Client, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    url = link(player("bob"))
    monkeypatch.setitem(connection.settings_dict, name, value)

    assert browser.get(url).status_code == 200


def test_the_link_of_a_deleted_account_answers_like_any_other(browser: Client) -> None:
    bob = player("bob")
    url = link(bob)
    bob.delete()

    assert browser.post(url).status_code == 200
    assert not EmailPreference.objects.exists()


def test_the_page_is_private(browser: Client) -> None:
    page = browser.get(link(player("bob")))

    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page.headers["Cache-Control"]
    assert page.headers["X-Robots-Tag"] == "noindex"


def test_a_busy_database_is_503(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(**kwargs: Any) -> None:
        raise Busy

    monkeypatch.setattr("heists.api.unsubscribe.set_email_preference", busy)

    page = browser.post(link(player("bob")))

    assert (page.status_code, page["Retry-After"]) == (503, "1")
    assert b"could not be saved" in page.content
    assert "Retry-After" not in browser.get(link(player("carol"))).headers


def test_each_page_says_what_was_done(browser: Client) -> None:
    bob = player("bob")
    asked, one, every = (
        page.content.decode()
        for page in (
            browser.get(link(bob)),
            browser.post(link(bob), {"emails": "type"}),
            browser.post(link(bob), {"emails": "anything else"}),
        )
    )

    label = HeistNotificationType.HEIST_VICTIM.label
    assert f"Stop only emails of this kind: {label}" in asked
    assert f"You get no more emails of this kind: {label}" in one
    assert "You get no more emails about heists." in every


def test_stopping_all_emails_keeps_the_choice_of_types(browser: Client) -> None:
    bob = player("bob")

    browser.post(link(bob), {"emails": "all"})

    assert (EmailPreference.objects.get().muted, EmailPreference.objects.get().muted_types) == (True, [])


def test_only_reading_and_posting_are_allowed(browser: Client) -> None:
    url = link(player("bob"))

    for method in ("put", "patch", "delete", "options", "trace"):
        assert getattr(browser, method)(url).status_code == 405
    assert not EmailPreference.objects.exists()


def test_it_works_behind_a_login_wall(browser: Client, settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    url = link(player("bob"))

    assert [browser.get(url).status_code, browser.post(url).status_code] == [200, 200]


def test_it_works_on_a_host_that_wraps_requests_in_transactions(browser: Client) -> None:
    from heists.api.unsubscribe import UnsubscribeView

    assert UnsubscribeView.as_view()._non_atomic_requests == {"default"}


@pytest.mark.parametrize(
    "content",
    [
        5,
        [],
        ["1"],
        ["1", "HEIST_VICTIM", "more"],
        ["no key", "HEIST_VICTIM"],
        [["1"], "HEIST_VICTIM"],
        ["1", "NO_TYPE"],
        {"1": 2},
    ],
)
def test_a_token_of_ours_with_another_content_is_no_link(content: Any) -> None:
    assert unsubscribe.read(signing.dumps(content, salt=unsubscribe._salt())) is None


def test_a_text_that_is_signed_for_another_purpose_is_no_link() -> None:
    bob = player("bob")
    purpose, _, database = unsubscribe._salt().partition(":")

    assert purpose == "heists.unsubscribe"
    for salt in (database, "heists.unsubscribe", ""):
        assert unsubscribe.read(signing.dumps([str(bob.pk), "HEIST_VICTIM"], salt=salt)) is None
    assert unsubscribe.read(unsubscribe.token(bob, "HEIST_VICTIM")) == (bob.pk, "HEIST_VICTIM")


def test_a_defect_is_not_taken_for_a_forged_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "loads", lambda *args, **options: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        unsubscribe.read("token")
