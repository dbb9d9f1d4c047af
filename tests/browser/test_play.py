"""The page to play on, in a real browser on a phone: a day of alice, with the network and the server as they are."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from config.views import CONTENT_SECURITY_POLICY
from gamification.models import PlayerProfile
from heists.economy import current_month
from heists.models import EmailPreference, Heist, HeistNotification, Shield
from heists.services import deliver_due_emails, execute_heist
from tests.factories import PASSWORD, player, points_of

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 390, "height": 844}
THREE_LANGUAGES = pytest.mark.parametrize(
    ("page", "language"), [("light", "en"), ("dark", "de"), ("light", "es")], indirect=["page"]
)
ONE_THEME = pytest.mark.parametrize("page", ["light"], indirect=True)
SECTIONS = ("rob", "inbox", "defence", "boards", "emails")
MOST_BYTES = 100_000
MOST_REQUESTS = 6

SENTENCES = {
    "en": {
        "can rob": "You can rob somebody now.",
        "safe until": "Nobody can rob you until ",
        "buy": "Buy a shield for 50 coins",
        "shield": "Your shield blocks the next attack until",
        "stake": "A heist takes 100 of 2,020 points. It costs 1 token, also where a shield blocks it.",
        "away": "The server does not answer. Trying again …",
        "robbed": "Success! You pulled a heist on bob and stole 100 points!",
        "cooldown": "You can rob again from",
        "inbox": "Inbox 3 unread",
        "was robbed": "Oh no! bob just pulled a heist on you and stole 20 of your monthly points!",
        "promotion": "You received heist tokens in a promotion: 2.",
        "stop?": "Stop emails?",
        "stop one": "Stop only emails of this kind: You were robbed",
        "stopped": "You get no more emails of this kind: You were robbed",
        "game": "Open the game",
        "saved": "Saved.",
        "stolen": "alice 100 points in 1 heist",
        "not final": "Not final yet.",
        "one point": "dora 1 point",
    },
    "de": {
        "can rob": "Du kannst jetzt jemanden ausrauben.",
        "safe until": "Bis ",
        "buy": "Schild für 50 Münzen kaufen",
        "shield": "Dein Schild wehrt bis",
        "stake": "Bestand: 2.020 Punkte. Ein Raubzug bringt davon 100. Er kostet 1 Marke, auch wenn ein Schild ihn "
        "abwehrt.",
        "away": "Der Server antwortet nicht. Neuer Versuch …",
        "robbed": "Geschafft! Du hast bob ausgeraubt und 100 Punkte erbeutet!",
        "cooldown": "Du kannst wieder ab",
        "inbox": "Nachrichten 3 ungelesen",
        "was robbed": "O nein! bob hat dich gerade ausgeraubt und 20 deiner Monatspunkte gestohlen!",
        "promotion": "Du hast bei einer Aktion Raubzugsmarken bekommen: 2.",
        "stop?": "E-Mails abbestellen?",
        "stop one": "Nur E-Mails dieser Art abbestellen",
        "stopped": "Du bekommst keine E-Mails dieser Art mehr",
        "game": "Zum Spiel",
        "saved": "Gespeichert.",
        "stolen": "alice 100 Punkte · 1 Raubzug",
        "not final": "Noch nicht endgültig.",
        "one point": "dora 1 Punkt",
    },
    "es": {
        "can rob": "Ya puedes atracar a alguien.",
        "safe until": "Nadie puede atracarte hasta el ",
        "buy": "Comprar un escudo por 50 monedas",
        "shield": "Tu escudo bloquea el próximo ataque hasta",
        "stake": "Un atraco quita 100 de 2020 puntos. Cuesta 1 ficha, también si un escudo lo bloquea.",
        "away": "El servidor no responde. Se vuelve a intentar …",
        "robbed": "¡Éxito! ¡Has atracado a bob y le has robado 100 puntos!",
        "cooldown": "Puedes volver a atracar a partir del",
        "inbox": "Mensajes 3 sin leer",
        "was robbed": "¡Oh, no! ¡bob acaba de atracarte y te ha robado 20 de tus puntos del mes!",
        "promotion": "Has recibido fichas de atraco en una promoción: 2.",
        "stop?": "¿Dejar de recibir correos?",
        "stop one": "Dejar de recibir solo correos de este tipo",
        "stopped": "Ya no recibirás correos de este tipo",
        "game": "Abrir el juego",
        "saved": "Guardado.",
        "stolen": "alice 100 puntos en 1 atraco",
        "not final": "Todavía no es definitivo.",
        "one point": "dora 1 punto",
    },
}


@pytest.fixture
def cast() -> dict[str, Any]:
    """Alice with two tokens and coins; bob, who has the most points and has robbed her; carol, who has few; and dora,
    who has had one point of the month before."""
    people = {
        "alice": player("alice", points=400, tokens=2, coins=120, email="alice@example.org"),
        "bob": player("bob", points=2000, tokens=1),
        "carol": player("carol", points=10),
        "dora": player("dora", points=1),
    }
    before = (current_month(timezone.now()) - dt.timedelta(days=1)).replace(day=1)
    PlayerProfile.objects.filter(user=people["dora"]).update(month=before)
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


@THREE_LANGUAGES
def test_a_day_of_alice(
    phone: Any,
    cast: dict[str, Any],
    language: str,
    live_server: Any,
    heist_settings: Any,
    mailoutbox: list[Any],
    console_errors: list[str],
) -> None:
    heist_settings(SITE_URL=live_server.url)
    says = SENTENCES[language]
    phone.select_option("footer select", language)
    phone.click("footer button")
    phone.wait_for_selector(f"html[lang={language}]")
    phone.wait_for_selector("#rob li")
    assert phone.inner_text("[data-field=name] >> nth=0") == "alice"
    assert [phone.inner_text(f"[data-field={name}]") for name in ("points", "tokens", "coins")] == ["380", "2", "120"]
    assert says["can rob"] in phone.inner_text("[data-field=rob]")
    assert phone.inner_text("[data-field=safe]").startswith(says["safe until"])

    open_section(phone, "defence")
    phone.click(f"#defence >> text={says['buy']}")
    phone.wait_for_selector(f"#defence >> text={says['shield']}")
    assert Shield.objects.get().player == cast["alice"]
    assert phone.inner_text("[data-field=coins]") == "70"
    assert phone.locator("#buy-shield").is_hidden()

    # The preview first; then the heist, in which the network is lost: the server carries it out, the answer is lost.
    open_section(phone, "rob")
    phone.click("#rob li:has-text('bob') button")
    phone.wait_for_selector("#preview[open]")
    assert phone.inner_text("#preview [data-field=stake]") == says["stake"]
    keys: list[str] = []

    def lose_two(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
        if len(keys) <= 2:
            route.abort()
        else:
            route.continue_()

    phone.route("**/api/heists/", lose_two)
    phone.click("#preview [data-do=rob]")
    phone.wait_for_selector(f"#banner >> text={says['away']}")
    phone.wait_for_selector("#preview .answer:not([hidden])")
    assert phone.inner_text("#preview .answer") == says["robbed"]
    assert len(keys) == 3 and len(set(keys)) == 1
    assert Heist.objects.filter(attacker=cast["alice"]).count() == 1
    assert points_of(cast["alice"]) == 480
    assert phone.locator("#banner").is_hidden()
    console_errors.clear()
    phone.click("#preview [data-do=close]")
    phone.wait_for_selector(f"[data-field=rob] >> text={says['cooldown']}")
    assert phone.inner_text("[data-field=points]") == "480"

    open_section(phone, "inbox")
    phone.wait_for_selector("#inbox li")
    assert phone.get_by_role("link", name=says["inbox"]).count() == 1
    messages = phone.locator("#inbox li.unread [data-field=message]").all_inner_texts()
    assert messages == [says["robbed"], says["was robbed"], says["promotion"]]
    phone.click("#inbox li:first-child button")
    phone.locator("#inbox li.unread").nth(2).wait_for(state="detached")
    phone.click("#read-all")
    phone.locator("#inbox li.unread").first.wait_for(state="detached")
    assert not HeistNotification.objects.filter(user=cast["alice"], read=False).exists()
    phone.locator("nav .badge").wait_for(state="hidden")

    # Unsubscribe by the link of the email about bob's heist, and come back by the game.
    deliver_due_emails()
    email = next(email for email in mailoutbox if "bob just pulled a heist on you" in email.body)
    phone.goto(re.findall(r"Unsubscribe: (\S+)", email.body)[0])
    assert phone.inner_text("h1") == says["stop?"]
    phone.click(f"text={says['stop one']}")
    phone.wait_for_selector(f"h1 >> text={says['stopped']}")
    assert EmailPreference.objects.get(player=cast["alice"]).muted_types == ["HEIST_VICTIM"]
    phone.click(f"text={says['game']}")
    phone.wait_for_selector("#rob li")
    open_section(phone, "emails")
    phone.wait_for_selector("#preferences:not([hidden])")
    boxes = phone.locator("#preferences input").all()
    assert [box.get_attribute("name") for box in boxes if not box.is_checked()] == ["HEIST_VICTIM"]
    phone.check("#preferences [name=HEIST_VICTIM]")
    phone.wait_for_selector(f"#emails >> text={says['saved']}")
    assert EmailPreference.objects.get(player=cast["alice"]).muted_types == []

    open_section(phone, "boards")
    phone.wait_for_selector("[data-list=points] li[aria-current]:has-text('alice')")
    assert "bob" in phone.inner_text("[data-list=points] li:first-child")
    phone.wait_for_selector("[data-list=robbers] li:has-text('bob')")
    assert phone.inner_text("[data-list=robbers] li:first-child") == says["stolen"]
    # Of the month before, dora's points are not closed yet.
    phone.select_option("#month", index=1)
    phone.wait_for_selector(f"#boards >> text={says['not final']}")
    assert phone.locator("[data-list=points] li").all_inner_texts() == [says["one point"]]
    phone.select_option("#month", index=12)
    phone.wait_for_selector("#boards .answer.bad")
    assert phone.locator("#boards li").count() == 0
    console_errors.clear()

    phone.click("#sign-out")
    phone.wait_for_selector("#welcome:not([hidden])")
    assert phone.locator("#game").is_hidden()


@ONE_THEME
def test_it_says_what_happens_while_the_server_is_away(phone: Any, console_errors: list[str]) -> None:
    phone.route("**/api/**", lambda route: route.abort())
    open_section(phone, "inbox")
    phone.wait_for_selector("#banner:not([hidden])")
    assert phone.inner_text("#banner") == "The server does not answer. Trying again …"

    phone.unroute("**/api/**")
    phone.wait_for_selector("#inbox li")
    assert phone.locator("#banner").is_hidden()
    console_errors.clear()


@ONE_THEME
def test_an_ended_token_leads_to_the_sign_in(phone: Any, cast: dict[str, Any], console_errors: list[str]) -> None:
    cast["alice"].auth_token_set.all().delete()
    phone.click("nav a[href='#inbox']")

    phone.wait_for_selector("#welcome:not([hidden])")
    assert phone.inner_text("#welcome .answer") == "You are signed out. Sign in again."
    console_errors.clear()


@ONE_THEME
def test_it_says_that_heists_are_switched_off(phone: Any, heist_settings: Any) -> None:
    heist_settings(ENABLED=False)
    phone.reload()
    phone.wait_for_selector("#rob li")
    assert "switched off" in phone.inner_text("[data-field=rob]")

    phone.click("#rob li:has-text('bob') button")
    phone.wait_for_selector("#preview[open]")
    assert "switched off" in phone.inner_text("#preview .answer")
    assert phone.locator("[data-do=rob]").is_hidden()


@ONE_THEME
def test_a_reload_keeps_the_sign_in_and_polls_with_the_etag(phone: Any) -> None:
    answers: list[tuple[str, int]] = []
    phone.on("response", lambda answer: answers.append((answer.url.rpartition("/api/")[2], answer.status)))
    phone.reload()
    phone.wait_for_selector("#rob li")
    for _ in range(3):
        phone.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    phone.wait_for_timeout(1000)

    # Once in 15 seconds at most.
    assert [status for path, status in answers if path == "heists/me/"] == [200, 304]


@ONE_THEME
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


@THREE_LANGUAGES
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


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.textContent")).strip()


@ONE_THEME
def test_the_keyboard_is_enough(phone: Any, cast: dict[str, Any]) -> None:
    assert focused(phone) == "You"

    phone.focus("#rob li:has-text('bob') button")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#preview[open]")
    phone.keyboard.press("Escape")
    assert not phone.evaluate("document.querySelector('#preview').open")
    assert focused(phone).startswith("bob")

    # The button to rob goes with the heist, and the list is read again behind the dialog.
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#preview[open]")
    assert focused(phone) == "Rob"
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#preview .answer:not([hidden])")
    phone.wait_for_selector("[data-do=close]:focus")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#rob-title:focus")

    # Each notification that is read gives the focus to the next one.
    phone.focus("nav a[href='#inbox']")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#inbox li.unread")
    phone.focus("#inbox li:first-child button")
    for number in (1, 2):
        phone.keyboard.press("Enter")
        phone.locator("#inbox li.unread").nth(3 - number).wait_for(state="detached")
        phone.wait_for_selector(f"#inbox li:nth-child({number + 1}) button:focus")
    name = phone.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent"
    )
    assert name == "You received heist tokens in a promotion: 2."

    phone.focus("#sign-out")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#welcome-title:focus")


@ONE_THEME
def test_another_tab_signs_out_and_another_player_in(phone: Any, cast: dict[str, Any]) -> None:
    other = phone.context.new_page()
    other.goto("/")
    other.wait_for_selector("#rob li")
    other.click("#sign-out")
    phone.wait_for_selector("#welcome:not([hidden])")
    assert phone.inner_text("#welcome .answer") == "You are signed out. Sign in again."

    other.fill("#sign-in [name=username]", "carol")
    other.fill("#sign-in [name=password]", PASSWORD)
    other.press("#sign-in [name=password]", "Enter")
    phone.wait_for_selector("#player >> text=carol")
    assert phone.inner_text("[data-field=points]") == "10"


@ONE_THEME
def test_it_polls_every_15_seconds_and_only_while_it_is_visible(phone: Any) -> None:
    phone.clock.install()
    phone.reload()
    phone.wait_for_selector("#rob li")
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url) if request.url.endswith("/me/") else None)

    phone.clock.run_for(14_000)
    assert asked == []
    with phone.expect_response("**/api/heists/me/") as answered:
        phone.clock.run_for(2_000)
    assert answered.value.status == 304

    phone.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    phone.clock.run_for(60_000)
    assert len(asked) == 1
    phone.evaluate("Object.defineProperty(document, 'hidden', {value: false})")
    with phone.expect_response("**/api/heists/me/"):
        phone.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert len(asked) == 2


@ONE_THEME
def test_what_stops_me_is_not_said_of_the_others(phone: Any, cast: dict[str, Any], heist_settings: Any) -> None:
    heist_settings(TOKEN_COST=3)
    phone.reload()
    phone.wait_for_selector("#rob li")

    assert phone.inner_text("[data-field=rob]") == "You need 3 tokens for a heist and have 2. Referrals earn tokens."
    assert phone.inner_text("#rob li:has-text('bob')").split() == ["bob", "2,020", "points"]


@ONE_THEME
def test_it_says_that_it_does_not_try_again(page: Any, cast: dict[str, Any], console_errors: list[str]) -> None:
    page.goto("/")
    page.route("**/api/**", lambda route: route.abort())
    page.fill("#sign-in [name=username]", "alice")
    page.fill("#sign-in [name=password]", PASSWORD)
    page.click("#sign-in button")
    page.wait_for_selector("#welcome .answer:not([hidden])")

    assert page.inner_text("#welcome .answer") == "The server does not answer. Try again later."
    console_errors.clear()
