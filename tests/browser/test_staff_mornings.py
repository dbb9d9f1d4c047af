"""The mornings of a support agent and of a manager in the admin, in a real browser, in three languages.

Both accounts have only the permissions of the demo world's groups. German is read on a phone.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from gamification.demo.accounts import insert_staff_groups
from gamification.demo.players import MANAGER, SUPPORT, Player
from heists.choices import GrantReason, HeistNotificationType
from heists.models import Reversal, RuleChange, TokenGrant
from heists.services import deliver_due_emails, execute_heist, grant_tokens
from tests.factories import PASSWORD, player, points_of, tokens_of

pytestmark = pytest.mark.django_db(transaction=True)

THREE_LANGUAGES = pytest.mark.parametrize(
    ("page", "language"), [("light", "en"), ("dark", "de"), ("light", "es")], indirect=["page"]
)
WIDTHS = {"en": 1280, "de": 390, "es": 1280}
# Each page reports itself; the fixture `page` fails on an error of the console.
REPORT_WIDE_PAGES = """addEventListener("load", () => {
    const extra = document.documentElement.scrollWidth - innerWidth
    if (extra > 0) console.error(`${extra} pixels wider than the screen: ${location}`)
})"""

SENTENCES = {
    "en": {
        "dashboard": "Heists dashboard",
        "return": "Return the points",
        "goes back": "50 points go back from alice to bob.",
        "numbers": ["alice 50 -50 0", "bob 950 +50 1,000"],
        "yes, return": "Yes, return 50 points",
        "went back": "50 points went back to the victim at",
        "reason": "Reason: two accounts of one person",
        "reversed": "The team reversed a heist: bob got back 50 points that alice had stolen.",
        "reversals": "Select reversal to view",
        "take back": "Take back",
        "is taken back": "1 token is taken back from alice.",
        "yes, take back": "Yes, take back 1 token",
        "was taken back": "1 token was taken back from alice.",
        "send again": "Send again",
        "is sent": "1 email is sent again.",
        "twice": "1 of them was sent before: its player gets it twice.",
        "yes, send": "Yes, send 1 email again",
        "will be sent": "1 email will be sent again.",
        "warning": "alice referred bob and attacked them. Attacks in 30 days: 1.",
        "rules": "Rules and switch",
        "replay": "Replay the attempts under the proposed rules",
        "endings": "Of 2 attempts, 0 would have ended otherwise and 2 the same; 0 are unknown.",
        "moved": "Points moved: 50 recorded, 80 under the proposed rules (+60.0 %).",
        "change": "Change the rules",
        "changes": "steal percentage 5 → 8.",
        "to come": "by manager: more at stake",
        "off": "Switch heists off",
        "is off": "Heists are switched off. It counts within ten seconds.",
        "on": "Switch heists on",
        "is on": "Heists are switched on. It counts within ten seconds.",
    },
    "de": {
        "dashboard": "Übersicht der Raubzüge",
        "return": "Punkte zurückgeben",
        "goes back": "50 Punkte gehen von alice an bob zurück.",
        "numbers": ["alice 50 -50 0", "bob 950 +50 1.000"],
        "yes, return": "Ja, 50 Punkte zurückgeben",
        "went back": "50 Punkte gingen an das Opfer zurück:",
        "reason": "Grund: two accounts of one person",
        "reversed": "Das Team hat die Punkte eines Raubzugs zurückgegeben: bob hat 50 Punkte zurückbekommen, die alice "
        "erbeutet hatte.",
        "reversals": "Rückgabe",
        "take back": "Zurücknehmen",
        "is taken back": "1 Marke wird von alice zurückgenommen.",
        "yes, take back": "Ja, 1 Marke zurücknehmen",
        "was taken back": "1 Marke wurde von alice zurückgenommen.",
        "send again": "Noch einmal senden",
        "is sent": "1 E-Mail wird noch einmal gesendet.",
        "twice": "1 davon wurde schon gesendet: Der Spieler bekommt sie zweimal.",
        "yes, send": "Ja, 1 E-Mail noch einmal senden",
        "will be sent": "1 E-Mail wird noch einmal gesendet.",
        "warning": "alice hat bob geworben und angegriffen. Angriffe in 30 Tagen: 1.",
        "rules": "Regeln und Schalter",
        "replay": "Die Versuche unter den vorgeschlagenen Regeln nachspielen",
        "endings": "Von 2 Versuchen wären 0 anders und 2 gleich ausgegangen; 0 sind unbekannt.",
        "moved": "Bewegte Punkte: 50 aufgezeichnet, 80 unter den vorgeschlagenen Regeln (+60,0 %).",
        "change": "Die Regeln ändern",
        "changes": "Beute in Prozent 5 → 8.",
        "to come": "von manager: more at stake",
        "off": "Raubzüge ausschalten",
        "is off": "Raubzüge sind ausgeschaltet. Das gilt innerhalb von zehn Sekunden.",
        "on": "Raubzüge einschalten",
        "is on": "Raubzüge sind eingeschaltet. Das gilt innerhalb von zehn Sekunden.",
    },
    "es": {
        "dashboard": "Panel de atracos",
        "return": "Devolver los puntos",
        "goes back": "50 puntos vuelven de alice a bob.",
        "numbers": ["alice 50 -50 0", "bob 950 +50 1 000"],
        "yes, return": "Sí, devolver 50 puntos",
        "went back": "50 puntos volvieron a la víctima:",
        "reason": "Motivo: two accounts of one person",
        "reversed": "El equipo ha devuelto los puntos de un atraco: bob ha recuperado 50 puntos que alice le había "
        "robado.",
        "reversals": "devolución",
        "take back": "Retirar",
        "is taken back": "Se retirará 1 ficha a alice.",
        "yes, take back": "Sí, retirar 1 ficha",
        "was taken back": "Se retiró 1 ficha a alice.",
        "send again": "Enviar de nuevo",
        "is sent": "Se enviará de nuevo 1 correo.",
        "twice": "1 de ellos ya se envió: su jugador lo recibirá dos veces.",
        "yes, send": "Sí, enviar de nuevo 1 correo",
        "will be sent": "1 correo se enviará de nuevo.",
        "warning": "alice recomendó el sitio a bob y le atacó. Ataques en 30 días: 1.",
        "rules": "Reglas e interruptor",
        "replay": "Volver a juzgar los intentos con las reglas propuestas",
        "endings": "De 2 intentos, 0 habrían terminado de otro modo y 2 igual; 0 son desconocidos.",
        "moved": "Puntos movidos: 50 registrados, 80 con las reglas propuestas (+60,0 %).",
        "change": "Cambiar las reglas",
        "changes": "porcentaje del botín 5 → 8.",
        "to come": "por manager: more at stake",
        "off": "Desactivar los atracos",
        "is off": "Los atracos están desactivados. Cuenta en menos de diez segundos.",
        "on": "Activar los atracos",
        "is on": "Los atracos están activados. Cuenta en menos de diez segundos.",
    },
}


@pytest.fixture
def heist() -> Any:
    """Return a success of alice against bob, whom she referred; a rejection follows it. Two members of staff."""
    alice = player("alice", tokens=1, email="alice@example.org")
    bob = player("bob", points=1000, email="bob@example.org")
    grant_tokens(player=alice, amount=1, reason=GrantReason.REFERRAL, source=f"referral:{bob.pk}", referred=bob)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    support, manager = (Player(name, timezone.now(), key=player(name, is_staff=True).pk) for name in (SUPPORT, MANAGER))
    insert_staff_groups([support], [manager])
    return heist


def sign_in(page: Any, name: str, language: str) -> dict[str, Any]:
    """Sign in to the admin in the language, and return its sentences."""
    page.add_init_script(REPORT_WIDE_PAGES)
    page.set_extra_http_headers({"Accept-Language": language})
    page.set_viewport_size({"width": WIDTHS[language], "height": 900})
    page.goto("/admin/")
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_url("**/admin/")
    return SENTENCES[language]


def open_first(page: Any) -> None:
    page.click("#result_list tbody tr:first-child th a")


@THREE_LANGUAGES
def test_the_morning_of_a_support_agent(
    page: Any, heist: Any, language: str, api: APIClient, mailoutbox: list[Any]
) -> None:
    says = sign_in(page, SUPPORT, language)
    page.click(f"text={says['dashboard']}")
    assert page.inner_text("#content h1") == says["dashboard"]
    page.locator("svg.heists-chart >> nth=0").locator("a").last.click()
    page.fill("#searchbar", "bob")
    page.press("#searchbar", "Enter")
    page.wait_for_url("**q=bob*")
    page.click("#changelist-filter a[href*='status=SUCCESS']")
    open_first(page)

    page.click(f"text={says['return']}")
    assert says["goes back"] in page.inner_text("#content")
    rows = page.locator("#content tbody tr").all_inner_texts()
    assert [" ".join(row.split()) for row in rows] == says["numbers"]
    page.fill("#id_reason", "two accounts of one person")
    page.fill("#id_note", "Please play with one account.")
    page.check("#id_return_token")
    page.dblclick(f"text={says['yes, return']}")
    # Not for the address: the second click ends the first one's navigation.
    page.wait_for_selector("#heists-returned")
    assert page.url.endswith(f"/heist/{heist.pk}/change/")
    assert Reversal.objects.count() == 1
    assert (points_of(heist.victim), tokens_of(heist.attacker).balance) == (1000, 2)

    text = page.inner_text("#heists-returned")
    assert says["went back"] in text and says["reason"] in text
    # The row keeps the text in the site's language; each player reads it in their own.
    rows = page.locator("#content tr:has-text('Please play with one account.')").all_inner_texts()
    assert len([row for row in rows if SENTENCES["en"]["reversed"] in row]) == 2
    for one in (heist.attacker, heist.victim):
        api.force_authenticate(one)
        inbox = api.get("/api/heists/notifications/", headers={"accept-language": language}).json()["results"]
        (message,) = (each["message"] for each in inbox if each["type"] == HeistNotificationType.HEIST_REVERSED)
        assert message.startswith(says["reversed"]) and message.endswith("Please play with one account.")
    page.goto("/admin/heists/reversal/")
    assert says["reversals"] in page.inner_text("#content h1")
    row = page.inner_text("#result_list tbody tr")
    assert "two accounts of one person" in row and SUPPORT in row

    # The token was given back by mistake.
    refund = TokenGrant.objects.get(reason=GrantReason.REFUND)
    page.goto("/admin/heists/tokengrant/")
    open_first(page)
    page.wait_for_url(f"**/tokengrant/{refund.pk}/change/")
    page.click(f"text={says['take back']}")
    assert says["is taken back"] in page.inner_text("#content")
    page.fill("#id_reason", "a second thought")
    page.click(f"text={says['yes, take back']}")
    page.wait_for_url(f"**/tokengrant/{refund.pk}/change/")
    assert says["was taken back"] in page.inner_text(".messagelist")
    assert "a second thought" in page.inner_text("#heists-correction")
    assert tokens_of(heist.attacker).balance == 1

    # Bob has lost the newest email to him.
    deliver_due_emails()
    before = [email.subject for email in mailoutbox if email.to == ["bob@example.org"]]
    page.goto("/admin/heists/outboxemail/?q=bob")
    page.locator("#result_list .action-select").first.check()
    page.select_option("select[name=action]", label=says["send again"])
    page.click("button[name=index]")
    page.wait_for_selector(f"text={says['yes, send']}")
    text = page.inner_text("#content")
    assert says["is sent"] in text and says["twice"] in text
    page.click(f"text={says['yes, send']}")
    page.wait_for_selector(".messagelist")
    assert page.inner_text(".messagelist") == says["will be sent"]
    deliver_due_emails()
    after = [email.subject for email in mailoutbox if email.to == ["bob@example.org"]]
    assert after == [*before, before[-1]]


@THREE_LANGUAGES
@pytest.mark.usefixtures("rule_changes")
def test_the_morning_of_a_manager(
    page: Any, heist: Any, language: str, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, clock = [dt.timedelta()], timezone.now
    monkeypatch.setattr(timezone, "now", lambda: clock() + ahead[0])

    def rob() -> Any:
        """Return the status of the API's answer, and the stolen points or the code of the problem."""
        attacker, victim = player(tokens=1), player(points=1000)
        api.force_authenticate(attacker)
        response = api.post("/api/heists/", {"victim": victim.pk})
        return response.status_code, response.json().get("points_stolen") or response.json()["code"]

    says = sign_in(page, MANAGER, language)
    page.click(f"text={says['dashboard']}")
    assert page.locator("#heists-warnings li").all_inner_texts() == [says["warning"]]
    page.go_back()
    page.click(f"text={says['rules']}")
    assert page.inner_text("#content h1") == says["rules"]

    page.fill("#id_steal_percentage", "8")
    page.click(f"text={says['replay']}")
    replayed = page.inner_text("#heists-replay")
    assert says["endings"] in replayed and says["moved"] in replayed
    two_minutes_later = timezone.localtime(timezone.now() + dt.timedelta(minutes=2))
    page.fill("#id_takes_effect_at", two_minutes_later.strftime("%Y-%m-%dT%H:%M:%S"))
    page.fill("#id_reason", "more at stake")
    page.dblclick(f"button:text-is('{says['change']}')")
    page.wait_for_selector(f"#heists-rules li >> text={says['to come']}")
    assert says["changes"] in page.inner_text(".messagelist")
    assert RuleChange.objects.get().reason == "more at stake"
    assert rob() == (201, 50)

    ahead[0] = dt.timedelta(minutes=2)
    assert rob() == (201, 80)
    page.goto("/admin/heists/rulechange/")
    row = page.inner_text("#result_list tbody tr")
    assert "more at stake" in row and MANAGER in row

    page.click(f".object-tools >> text={says['rules']}")
    for switch, said, reason, answer in (
        ("off", "is off", "a bug", (503, "feature_disabled")),
        ("on", "is on", "mended", (201, 80)),
    ):
        page.fill("#id_switch_reason", reason)
        page.click(f"text={says[switch]}")
        page.wait_for_selector(f"#heists-switch >> text={reason}")
        assert page.inner_text(".messagelist") == says[said]
        assert rob() == answer

    found = io.StringIO()
    call_command("audit_heists", stdout=found)
    assert "no difference" in found.getvalue()
