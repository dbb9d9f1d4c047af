"""The same story through the API of each host; the host's `cast.py` makes its players."""

import io
import json
import sys

import django

django.setup()

from cast import make_player  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command, get_commands  # noqa: E402
from django.test import Client, override_settings  # noqa: E402

from heists.choices import GrantReason  # noqa: E402
from heists.economy import get_economy  # noqa: E402
from heists.queries.facts import has_active_field  # noqa: E402
from heists.services import grant_tokens  # noqa: E402

economy = get_economy()
settings.HEISTS |= {"RATE_LIMIT_PER_MINUTE": 1000, "READ_RATE_LIMIT_PER_MINUTE": 1000}


class Browser:
    """One player's client of the API. Fails where an answer contains an email address."""

    def __init__(self, player):
        self.player, self.id = player, str(player.pk)
        # As JSON has it: a number stays one.
        self.key = player.pk if isinstance(player.pk, int) else self.id
        self.client = Client()
        self.client.force_login(player, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, path, expected=200):
        return self._read(self.client.get(f"/api/heists/{path}", headers={"accept": "application/json"}), expected)

    def post(self, path, body=None, expected=200, **headers):
        answer = self.client.post(f"/api/heists/{path}", body or {}, content_type="application/json", headers=headers)
        return self._read(answer, expected)

    def _read(self, answer, expected):
        text = answer.content.decode()
        assert answer.status_code in (expected if isinstance(expected, tuple) else (expected,)), (
            answer.request["PATH_INFO"],
            answer.status_code,
            text,
        )
        assert "@" not in text, f"an address in {answer.request['PATH_INFO']}: {text}"
        return json.loads(text) if text else {}


def points(*browsers):
    rows = economy.players().filter(pk__in=[browser.player.pk for browser in browsers])
    found = {str(row.pk): row.monthly_points for row in rows}
    return [found[browser.id] for browser in browsers]


# A thief with a token, a victim with points, and a neighbour with too few points.
thief, victim, neighbour = Browser(make_player(100)), Browser(make_player(1000)), Browser(make_player(15))
grant_tokens(player=thief.player, amount=1, reason=GrantReason.REFERRAL, source="story", referred=neighbour.player)

# The thief reads.
assert thief.get("token/")["balance"] == 1
targets = {str(target["player"]["id"]): target for target in thief.get("targets/?page_size=100")["results"]}
assert targets[victim.id]["eligible"] and targets[victim.id]["potential_points"] == 50, targets[victim.id]
preview = thief.get(f"targets/{victim.id}/")
assert preview["eligible"] and preview["potential_points"] == 50, preview
assert thief.get(f"targets/{neighbour.id}/")["code"] == "insufficient_points"

# A rejection costs nothing.
refused = thief.post("", {"victim": neighbour.key}, expected=409)
assert refused["code"] == "insufficient_points", refused
assert thief.get("token/")["balance"] == 1

# The heist, and the same request again.
for _ in range(2):
    heist = thief.post("", {"victim": victim.key}, expected=201, **{"idempotency-key": "story"})
    assert (heist["status"], heist["points_stolen"], heist["my_points_after"]) == ("SUCCESS", 50, 150), heist
assert points(thief, victim) == [150, 950]
assert thief.get("token/")["balance"] == 0

# No token is left, and unknown ids are rejected.
assert thief.post("", {"victim": victim.key}, expected=409)["code"] == "insufficient_tokens"
for nobody in ("0", "nobody", "00000000-0000-0000-0000-000000000000", None, [1], {"id": 1}, 1.5, True, "\x00", 10**30):
    thief.post("", {"victim": nobody}, expected=400)

# What each side reads of it.
assert [row["status"] for row in victim.get("?role=victim")["results"]] == ["SUCCESS"]
assert len(thief.get("?role=attacker")["results"]) == 3
assert victim.get(f"{heist['id']}/")["my_points_before"] == 1000
neighbour.get(f"{heist['id']}/", expected=404)
feed = victim.get("notifications/")
assert (feed["unread_count"], feed["results"][0]["type"]) == (1, "HEIST_VICTIM"), feed
victim.post("notifications/read-all/", expected=(200, 204))
assert victim.get("notifications/")["unread_count"] == 0
assert {row["type"] for row in thief.get("notifications/")["results"]} == {"TOKEN_EARNED", "HEIST_SUCCESS"}
thief.get("stats/")
assert thief.id in json.dumps(thief.get("leaderboard/"))

# The shop.
if economy.has_coins:
    rich = Browser(make_player(1000, coins=60))
    rich.post("shields/", expected=201)
    assert economy.coins(rich.player.pk) == 10
    grant_tokens(player=neighbour.player, amount=1, reason=GrantReason.PROMOTION, source="story:2")
    blocked = neighbour.post("", {"victim": rich.key}, expected=201)
    assert (blocked["status"], blocked["points_stolen"]) == ("FAILED_SHIELD", 0), blocked
    assert points(rich, neighbour) == [1000, 15]
else:
    assert victim.post("shields/", expected=(404, 409, 503))["code"] == "no_coins"

# An inactive account is no target.
if has_active_field():
    type(victim.player).objects.filter(pk=victim.player.pk).update(is_active=False)
    grant_tokens(player=thief.player, amount=1, reason=GrantReason.PROMOTION, source="story:3")
    assert thief.post("", {"victim": victim.key}, expected=409)["code"] == "inactive_target"

# Switched off: attempts answer 503, reads still work.
with override_settings(HEISTS={**settings.HEISTS, "ENABLED": False}):
    assert thief.post("", {"victim": neighbour.key}, expected=503)["code"] == "feature_disabled"
    thief.get("")

# The data.
if "audit_heists" in get_commands():
    out = io.StringIO()
    call_command("audit_heists", stdout=out)
sys.stdout.write("The story passed.\n")
