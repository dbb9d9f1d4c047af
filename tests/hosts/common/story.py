"""Checks the host, migrates it, and plays the same story through its API; `cast.py` makes the host's players.

`cast.py` may also have PREFIX, DATABASES, make_client(player), after_heist(*players).
"""

import datetime as dt
import io
import json
import sys
from urllib.parse import quote

import django

django.setup()

import cast  # noqa: E402
from cast import make_player  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core import mail  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from heists import conf  # noqa: E402
from heists.choices import GrantReason  # noqa: E402
from heists.economy import get_economy  # noqa: E402
from heists.errors import NoReversals, UnknownPlayer  # noqa: E402
from heists.models import EmailPreference, Reversal, TokenGrant  # noqa: E402
from heists.queries import warnings  # noqa: E402
from heists.services import execute_heist, grant_tokens, reverse_heist, take_back  # noqa: E402
from heists.user_model import has_active_field  # noqa: E402

PREFIX = getattr(cast, "PREFIX", "/api/heists/")
DATABASES = getattr(cast, "DATABASES", ["default"])

# As the guide says. The first finds nothing to warn of, also before the tables exist.
call_command("check", fail_level="WARNING")
call_command("makemigrations", "heists", check_changes=True, dry_run=True, verbosity=0)
for alias in DATABASES:
    call_command("migrate", database=alias, verbosity=0)
call_command("check", databases=DATABASES, fail_level="WARNING")

economy = get_economy()
settings.HEISTS |= {"RATE_LIMIT_PER_MINUTE": 1000, "READ_RATE_LIMIT_PER_MINUTE": 1000}


class Browser:
    """One player's client of the API. Fails where an answer contains an email address."""

    def __init__(self, player):
        self.player, self.id = player, str(player.pk)
        # As JSON has it: a number stays one.
        self.key = player.pk if isinstance(player.pk, int) else self.id
        if hasattr(cast, "make_client"):
            self.client = cast.make_client(player)
        else:
            self.client = Client()
            self.client.force_login(player, backend="django.contrib.auth.backends.ModelBackend")

    def get(self, path, expected=200):
        return self._read(self.client.get(f"{PREFIX}{path}", headers={"accept": "application/json"}), expected)

    def post(self, path, body=None, expected=200, **headers):
        answer = self.client.post(f"{PREFIX}{path}", body or {}, content_type="application/json", headers=headers)
        return self._read(answer, expected)

    def _read(self, answer, expected):
        text = answer.content.decode()
        assert answer.status_code in (expected if isinstance(expected, tuple) else (expected,)), (
            answer.request["PATH_INFO"],
            answer.status_code,
            text,
        )
        assert text.lstrip()[:1] in ("{", ""), text
        body = json.loads(text or "{}")
        assert "@" not in " ".join(texts(body)), f"an address in {answer.request['PATH_INFO']}: {text}"
        return body


def texts(data, name=""):
    """Yield every text of an answer but ids, which are the host's keys, and the path, which the client sent."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from texts(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value, name)
    elif isinstance(data, str) and name not in ("instance", "next", "previous") and not name.endswith("id"):
        yield data


def points(*browsers):
    rows = economy.players().filter(pk__in=[browser.player.pk for browser in browsers])
    found = {str(row.pk): row.monthly_points for row in rows}
    return [found[browser.id] for browser in browsers]


# A thief with a token, a victim with points, and a neighbour with too few points.
thief, victim, neighbour = Browser(make_player(100)), Browser(make_player(1000)), Browser(make_player(15))
of_victim = {"source": f"referral:{victim.player.pk}", "referred": victim.player}
grant_tokens(player=thief.player, amount=1, reason=GrantReason.REFERRAL, **of_victim)

# The thief reads.
assert thief.get("token/")["balance"] == 1
targets = {str(target["player"]["id"]): target for target in thief.get("targets/?page_size=100")["results"]}
assert targets[victim.id]["eligible"] and targets[victim.id]["potential_points"] == 50, targets[victim.id]
preview = thief.get(f"targets/{victim.id}/")
assert preview["eligible"] and preview["potential_points"] == 50, preview
assert thief.get(f"targets/{neighbour.id}/")["code"] == "insufficient_points"

# The filters of the list, with the host's own search.
eligible = thief.get("targets/?eligible=true&page_size=100")["results"]
assert victim.key in [row["player"]["id"] for row in eligible], eligible
assert neighbour.key not in [row["player"]["id"] for row in eligible], eligible
name = economy.name(victim.player)
# By the whole name: an old site may have more members whose names begin alike than a page has rows.
searched = economy.search_players(name)
if searched is None:
    assert thief.get(f"targets/?search={quote(name)}", expected=400)["code"] == "search_unavailable"
else:
    rows = thief.get(f"targets/?search={quote(name)}&page_size=100")["results"]
    assert {str(row["player"]["id"]) for row in rows} == {str(row.pk) for row in searched} - {thief.id}, rows

# The thief's own state.
own = thief.get("me/")
assert (own["player"]["id"], own["monthly_points"], own["tokens"]["balance"]) == (thief.key, 100, 1), own
assert (own["as_attacker"]["code"], own["as_victim"]["potential_points"]) == (None, 5), own
assert (own["coins"] is not None) == (own["shield_shop"] is not None) == economy.has_coins, own

# Polling: what the thief has already is a 304.
for path in ("me/", "token/", "notifications/"):
    etag = thief.client.get(PREFIX + path)["ETag"]
    assert thief.client.get(PREFIX + path, headers={"if-none-match": etag}).status_code == 304, path

# A rejection costs nothing.
rejected = thief.post("", {"victim": neighbour.key}, expected=409)
assert rejected["code"] == "insufficient_points", rejected
assert thief.get("token/")["balance"] == 1

# A form that read a user before the heist saves the whole row after it, as SetPasswordForm does.
forms = [type(browser.player)._default_manager.get(pk=browser.player.pk) for browser in (thief, victim)]

# The heist, and the same request again.
for _ in range(2):
    heist = thief.post("", {"victim": victim.key}, expected=201, **{"idempotency-key": "story"})
    assert (heist["status"], heist["points_stolen"], heist["my_points_after"]) == ("SUCCESS", 50, 150), heist
assert points(thief, victim) == [150, 950]
assert thief.get("token/")["balance"] == 0

for user in forms:
    user.save()
if hasattr(cast, "after_heist"):
    cast.after_heist(thief.player, victim.player)
assert points(thief, victim) == [150, 950], "saving a user brought points back"

# No token is left, and unknown ids are rejected.
assert thief.post("", {"victim": victim.key}, expected=409)["code"] == "insufficient_tokens"
for nobody in ("0", "nobody", "00000000-0000-0000-0000-000000000000", None, [1], {"id": 1}, 1.5, True, "\x00", 10**30):
    thief.post("", {"victim": nobody}, expected=400)

for nobody in ("nope", "", None, -1, 10**30, "\x00", 1.5, {}):
    try:
        execute_heist(attacker_id=thief.player.pk, victim_id=nobody)
    except UnknownPlayer:
        continue
    raise AssertionError(f"execute_heist() accepts {nobody!r}")

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
assert [row["role"] for row in victim.get("")["results"]] == ["victim"], "each side reads its own points only"
stats = thief.get("stats/")
assert (stats["as_attacker"]["successful"], stats["as_victim"]["times_robbed"]) == (1, 0), stats
for moment in (heist["created_at"], feed["results"][0]["created_at"], thief.get("token/")["last_spent_at"]):
    assert moment.endswith("Z") and dt.datetime.fromisoformat(moment).tzinfo, f"{moment} is not in ISO 8601"
assert thief.get(f"?created_before={heist['created_at']}")["results"][-1]["id"] < heist["id"]
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

# Staff return the points, and the token. Without `give_back`, they can't.
if economy.can_give_back:
    (stolen, kept), returned = points(thief, victim), heist["points_stolen"]
    staff = neighbour.player
    reverse_heist(heist_id=heist["id"], reversed_by=staff, reason="a mistake", note="Sorry.", return_token=True)
    assert points(thief, victim) == [stolen - returned, kept + returned]
    for side in (thief, victim):
        assert side.get(f"{heist['id']}/")["reversed"]["points"] == returned
        assert "Sorry." in side.get("notifications/?type=HEIST_REVERSED")["results"][0]["message"]
    refund = TokenGrant.objects.get(source=f"refund:{heist['id']}")
    assert refund.granted_by_name == Reversal.objects.get().reversed_by_name != ""
    take_back(grant=refund, by=staff, reason="a second thought")
    assert thief.get("token/")["balance"] == 0
else:
    try:
        reverse_heist(heist_id=heist["id"], reversed_by=None, reason="a mistake")
    except NoReversals:
        pass
    else:
        raise AssertionError("points were returned without the economy")

# An inactive account is no target.
if has_active_field():
    type(victim.player).objects.filter(pk=victim.player.pk).update(is_active=False)
    grant_tokens(player=thief.player, amount=1, reason=GrantReason.PROMOTION, source="story:3")
    assert thief.post("", {"victim": victim.key}, expected=409)["code"] == "inactive_target"

# Switched off: attempts answer 503, reads still work.
with override_settings(HEISTS={**settings.HEISTS, "ENABLED": False}):
    assert thief.post("", {"victim": neighbour.key}, expected=503)["code"] == "feature_disabled"
    thief.get("")

# The emails, and the link in each, for people and mail programs who are not signed in.
mail.outbox = []
call_command("send_heist_emails", stdout=io.StringIO())
if conf.site_url():
    assert {message.to[0] for message in mail.outbox} >= {economy.email(thief.player), economy.email(victim.player)}
    link = mail.outbox[0].extra_headers["List-Unsubscribe"].strip("<>")
    assert link.startswith(conf.site_url()), link
    for method in ("get", "post"):
        answer = getattr(Client(), method)(link.removeprefix(conf.site_url()))
        assert answer.status_code == 200, (method, answer.status_code, answer.headers)
    assert EmailPreference.objects.filter(muted=True).count() == 1
else:
    assert all("List-Unsubscribe" not in message.extra_headers for message in mail.outbox)

# The data.
(robbed,) = warnings.find(timezone.now()).referrers
assert (robbed.attacker, robbed.victim, robbed.count) == (thief.player, victim.player, 1), robbed
call_command("audit_heists", stdout=io.StringIO())
sys.stdout.write("The story passed.\n")
