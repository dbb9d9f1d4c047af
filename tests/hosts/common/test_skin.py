"""The admin's pages of heists under the skin that SKIN names: complete, and readable in light and dark.

The second test needs Chromium (`CHROMIUM` is its path) and is skipped without it.
"""

import os
import secrets

import cast
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.testing import StaticLiveServerTestCase

from heists.choices import GrantReason
from heists.models import Heist, HeistToken
from heists.services import execute_heist, grant_tokens

LISTS = [
    "heist",
    "heisttoken",
    "tokengrant",
    "shield",
    "heistnotification",
    "outboxemail",
    "emailpreference",
    "ruleset",
]
# The text of heists whose contrast to what is behind it is lowest; 1 is invisible. A link of grappelli has 2.8 on grey.
CONTRAST = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const paint = colours => {
    pen.fillStyle = "white"; pen.fillRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255);
    const linear = parts.map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = element => element
    ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : [];
  const ours = ".heists-tiles *, .heists-pair *, .heists-legend *, .heists-section *, .heists-form *, .heists-axis";
  return [...document.querySelectorAll(ours)].filter(
    element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
  ).map(element => {
    const style = getComputedStyle(element), below = behind(element);
    const colour = element.matches(".heists-axis") ? style.fill : style.color;
    const [dark, light] = [paint(below), paint([...below, colour])].sort((a, b) => a - b);
    return [(light + 0.05) / (dark + 0.05), element.textContent.trim()];
  }).sort((a, b) => a[0] - b[0])[0];
}"""


class SkinTests(StaticLiveServerTestCase):
    def setUp(self):
        self.password = secrets.token_hex()
        self.staff = get_user_model().objects.create_superuser("agent", "agent@example.com", self.password)
        self.thief, self.victim = cast.make_player(100), cast.make_player(1000)
        grant_tokens(player=self.thief, amount=2, reason=GrantReason.PROMOTION, source="skin")
        execute_heist(attacker_id=self.thief.pk, victim_id=self.victim.pk)
        self.heist = execute_heist(attacker_id=self.thief.pk, victim_id=self.victim.pk)
        self.grant_form = f"/admin/heists/heisttoken/grant/?player={self.thief.pk}"

    def test_every_page_is_complete(self):
        self.client.force_login(self.staff)
        for path in ["", "heists/", *(f"heists/{name}/" for name in LISTS), f"heists/heist/{self.heist.pk}/history/"]:
            with self.subTest(path):
                self.assertEqual(self.client.get(f"/admin/{path}").status_code, 200)
        for path, parts in {
            "/admin/heists/heist/": [
                "heists/heist/dashboard/",
                "heists/heist/export/",
                'name="from"',
                "Target protected",
            ],
            f"/admin/heists/heist/{self.heist.pk}/change/": ["Points before", "heists-timeline"],
            "/admin/heists/heist/dashboard/": ["<svg", "heists-swatch", "?days=90"],
            "/admin/heists/heisttoken/": ['value="grant_tokens"'],
            self.grant_form: ['name="amount"', 'name="note"', "csrfmiddlewaretoken"],
        }.items():
            answer = self.client.get(path)
            for part in [*parts, "heists/admin.css"]:
                with self.subTest(path, part=part):
                    self.assertIn(part, answer.content.decode().split("<body")[0 if part.endswith("css") else 1])
        answer = self.client.get(self.grant_form)
        nonce = answer.context["form"]["nonce"].value()
        answer = self.client.post(self.grant_form, {"amount": 3, "note": "A prize.", "nonce": nonce})
        self.assertEqual(answer.status_code, 302)
        self.assertEqual(HeistToken.objects.get(user=self.thief).balance, 4)
        self.assertEqual(Heist.objects.count(), 2)

    def test_texts_and_controls_can_be_seen_in_light_and_dark(self):
        if "CHROMIUM" not in os.environ:
            self.skipTest("needs Chromium")
        from playwright.sync_api import sync_playwright

        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        pages = [
            "/admin/heists/heist/dashboard/?days=7",
            f"/admin/heists/heist/{self.heist.pk}/change/",
            "/admin/heists/heist/",
            self.grant_form,
        ]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=flags)
            for scheme in ("light", "dark"):
                context = browser.new_context(color_scheme=scheme, base_url=self.live_server_url)
                tab = context.new_page()
                tab.goto("/admin/")
                tab.fill("[name=username]", "agent")
                tab.fill("[name=password]", self.password)
                tab.click("[type=submit]")
                tab.wait_for_url("**/admin/")
                for path in pages:
                    with self.subTest(path, scheme=scheme):
                        tab.goto(path)
                        lowest = tab.evaluate(CONTRAST)
                        if lowest:
                            self.assertGreater(lowest[0], 2.5, lowest[1])
                        if "SHOTS" in os.environ:
                            name = path.strip("/").replace("/", "-").partition("?")[0]
                            tab.screenshot(path=f"{os.environ['SHOTS']}/{os.environ['SKIN']}-{scheme}-{name}.png")
                # Charts are not black: their bars take three colours or more.
                tab.goto("/admin/heists/heist/dashboard/?days=7")
                fills = tab.eval_on_selector_all("pattern rect", "all => all.map(one => getComputedStyle(one).fill)")
                self.assertGreaterEqual(len(set(fills)), 3, fills)
                self.assertNotIn("rgb(0, 0, 0)", fills)
                tab.goto(self.grant_form)
                for control in ("[name=amount]", "[name=note]"):
                    border = tab.eval_on_selector(control, "one => getComputedStyle(one).borderTopWidth")
                    self.assertNotEqual(border, "0px", control)
                context.close()
            browser.close()
