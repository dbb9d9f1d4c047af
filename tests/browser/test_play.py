"""The page to play on, in a real browser on a phone: a day of alice, with the network and the server as they are."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from config.views import CONTENT_SECURITY_POLICY
from heists.models import EmailPreference, Heist, HeistNotification, Shield
from heists.services import execute_heist
from tests.factories import PASSWORD, player, points_of

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 390, "height": 844}
SECTIONS = ("rob", "inbox", "defence", "boards", "emails")
MOST_BYTES = 100_000
MOST_REQUESTS = 6


@pytest.fixture
def cast() -> dict[str, Any]:
    """Alice with two tokens and coins; bob, who has the most points and has robbed her; carol, who has few."""
    people = {
        "alice": player("alice", points=400, tokens=2, coins=120, email="alice@example.org"),
        "bob": player("bob", points=2000, tokens=1),
        "carol": player("carol", points=10),
    }
    execute_heist(attacker_id=people["bob"].pk, victim_id=people["alice"].pk)
    return people


@pytest.fixture
def phone(page: Any, cast: dict[str, Any]) -> Any:
    """Return the page on a phone, signed in as alice."""
    page.set_viewport_size(PHONE)
    page.goto("/")
    page.fill("#sign-in [name=username]", "alice")
    page.fill("#sign-in [name=password]", PASSWORD)
    page.click("#sign-in button")
    page.wait_for_selector("#rob li")
    return page


def open_section(page: Any, name: str) -> None:
    page.click(f"nav a[href='#{name}']")
    page.wait_for_selector(f"#{name}:not([hidden])")


def test_a_day_of_alice(phone: Any, cast: dict[str, Any]) -> None:
    assert phone.inner_text("[data-field=name] >> nth=0") == "alice"
    assert phone.inner_text("[data-field=points]") == "380"
    assert phone.inner_text("[data-field=tokens]") == "2"
    assert "can rob somebody now" in phone.inner_text("[data-field=rob]")
    assert "Nobody can rob you until" in phone.inner_text("[data-field=safe]")

    # The preview first; then the heist and its answer as a sentence.
    phone.click("#rob li:has-text('bob') button")
    phone.wait_for_selector("#preview[open]")
    assert "101" not in phone.inner_text("#preview")
    assert "100 of 2,020 points" in phone.inner_text("#preview")
    phone.click("#preview [data-do=rob]")
    phone.wait_for_selector("#preview .answer:not([hidden])")
    assert phone.inner_text("#preview .answer") == "Success! You pulled a heist on bob and stole 100 points!"
    assert points_of(cast["alice"]) == 480
    phone.click("#preview [data-do=close]")
    phone.wait_for_selector("#rob li:has-text('not before')")
    assert phone.inner_text("[data-field=points]") == "480"
    assert "You can rob again from" in phone.inner_text("[data-field=rob]")

    open_section(phone, "defence")
    phone.click("#buy-shield")
    phone.wait_for_selector("#defence >> text=Your shield blocks the next attack")
    assert Shield.objects.get().player == cast["alice"]
    assert phone.inner_text("[data-field=coins]") == "70"
    assert phone.locator("#buy-shield").is_hidden()

    open_section(phone, "inbox")
    phone.wait_for_selector("#inbox li")
    assert phone.locator("#inbox li.unread").count() == 3
    phone.click("#inbox li:first-child button")
    phone.locator("#inbox li.unread").nth(2).wait_for(state="detached")
    assert phone.locator("#inbox li.unread").count() == 2
    phone.click("#read-all")
    phone.locator("#inbox li.unread").first.wait_for(state="detached")
    assert not HeistNotification.objects.filter(user=cast["alice"], read=False).exists()
    assert phone.locator("nav .badge").is_hidden()

    open_section(phone, "emails")
    phone.wait_for_selector("#preferences:not([hidden])")
    phone.uncheck("#preferences [name=HEIST_VICTIM]")
    phone.wait_for_selector("#emails .answer:not([hidden])")
    assert EmailPreference.objects.get(player=cast["alice"]).muted_types == ["HEIST_VICTIM"]
    phone.check("#preferences [name=HEIST_VICTIM]")

    open_section(phone, "boards")
    phone.wait_for_selector("[data-list=points] li:has-text('alice')")
    assert "bob" in phone.inner_text("[data-list=points] li:first-child")
    assert "alice" in phone.inner_text("[data-list=robbers] li:first-child")

    phone.click("#sign-out")
    phone.wait_for_selector("#welcome:not([hidden])")
    assert phone.locator("#game").is_hidden()


def test_an_answer_that_is_lost_robs_once(phone: Any, cast: dict[str, Any], console_errors: list[str]) -> None:
    keys: list[str] = []

    def lose_the_first(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            # The server carries it out; the answer never arrives.
            route.fetch()
            route.abort()
        else:
            route.continue_()

    phone.route("**/api/heists/", lose_the_first)
    phone.click("#rob li:has-text('bob') button")
    phone.click("#preview [data-do=rob]")
    phone.wait_for_selector("#preview .answer:not([hidden])")

    assert "Success!" in phone.inner_text("#preview .answer")
    assert len(keys) == 2 and keys[0] == keys[1]
    assert Heist.objects.filter(attacker=cast["alice"]).count() == 1
    assert phone.locator("#banner").is_hidden()
    console_errors.clear()


def test_it_says_what_happens_while_the_server_is_away(phone: Any, console_errors: list[str]) -> None:
    phone.route("**/api/**", lambda route: route.abort())
    open_section(phone, "inbox")
    phone.wait_for_selector("#banner:not([hidden])")
    assert phone.inner_text("#banner") == "The server does not answer. Trying again …"

    phone.unroute("**/api/**")
    phone.wait_for_selector("#inbox li")
    assert phone.locator("#banner").is_hidden()
    console_errors.clear()


def test_an_ended_token_leads_to_the_sign_in(phone: Any, cast: dict[str, Any], console_errors: list[str]) -> None:
    cast["alice"].auth_token_set.all().delete()
    phone.click("nav a[href='#inbox']")

    phone.wait_for_selector("#welcome:not([hidden])")
    assert phone.inner_text("#welcome .answer") == "You are signed out. Sign in again."
    console_errors.clear()


def test_it_says_that_heists_are_switched_off(phone: Any, heist_settings: Any) -> None:
    heist_settings(ENABLED=False)
    phone.reload()
    phone.wait_for_selector("#rob li")

    assert "switched off" in phone.inner_text("[data-field=rob]")


def test_a_reload_keeps_the_sign_in_and_polls_with_the_etag(phone: Any) -> None:
    answers: list[tuple[str, int]] = []
    phone.on("response", lambda answer: answers.append((answer.url.rpartition("/api/")[2], answer.status)))
    phone.reload()
    phone.wait_for_selector("#rob li")
    phone.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    phone.wait_for_timeout(1000)

    assert [status for path, status in answers if path == "heists/me/"] == [200, 304]


def test_it_is_small_and_loads_nothing_else(page: Any, cast: dict[str, Any]) -> None:
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer))
    answer = page.goto("/")
    page.wait_for_selector("#welcome:not([hidden])")

    assert len(answers) <= MOST_REQUESTS
    files = [each for each in answers if each.url.endswith((".js", ".css"))]
    assert sum(len(each.body()) for each in files) <= MOST_BYTES
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_each_section_is_accessible_and_fits_the_screen(phone: Any, language: str) -> None:
    phone.select_option("footer select", language)
    phone.click("footer button")
    phone.wait_for_selector(f"html[lang={language}]")
    faults = {}
    for width in (1440, 1280, 390):
        phone.set_viewport_size({"width": width, "height": 844})
        for name in SECTIONS:
            open_section(phone, name)
            phone.wait_for_timeout(300)
            found = [
                (violation["id"], [node["html"] for node in violation["nodes"]])
                for violation in Axe().run(phone).response["violations"]
            ]
            if (extra := phone.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                found.append(("wider than the screen", [extra]))
            if found:
                faults[width, name] = found

    assert faults == {}
    assert "{" not in phone.inner_text("body")


def test_the_keyboard_is_enough(phone: Any) -> None:
    phone.focus("#rob li:has-text('bob') button")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#preview[open]")
    phone.keyboard.press("Escape")

    assert not phone.evaluate("document.querySelector('#preview').open")
    assert phone.evaluate("document.activeElement.textContent").startswith("bob")
