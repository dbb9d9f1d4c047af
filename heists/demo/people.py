"""The invented players: a cast whose parts are known, and a crowd."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random

from ..rules import Rules
from .host import DemoPlayer

PASSWORD = "heist-demo"  # noqa: S105 - the demo's, known to everybody, and refused unless DEBUG is on
STAFF = "staff"

# The named ones, and what they are there for at the end of the story.
CAST = {
    "alice": "holds tokens, no cooldown: the one to sign in as",
    "bob": "can be robbed",
    "carol": "was robbed a few hours ago: protected; her mail bounces",
    "dave": "has a live shield",
    "erin": "has too few points to steal",
    "frank": "has no tokens, and wants no letters",
    "grace": "ran into a shield: on cooldown",
    "heidi": "had the shield that stopped grace",
    "ivan": "has closed the account",
    "mallory": "tries too often",
    "oscar": "leads the board",
    "victor": "a robber by trade",
}
FIRST_NAMES = [
    "ada",
    "amir",
    "anna",
    "ben",
    "bruno",
    "cara",
    "chen",
    "clara",
    "dana",
    "diego",
    "elif",
    "emma",
    "enzo",
    "fatima",
    "finn",
    "gita",
    "hana",
    "hugo",
    "ida",
    "ines",
    "jack",
    "jana",
    "jonas",
    "kaya",
    "kenji",
    "lara",
    "leo",
    "lina",
    "luca",
    "maya",
    "mia",
    "milo",
    "nadia",
    "nils",
    "noa",
    "olga",
    "omar",
    "paula",
    "pedro",
    "petra",
    "quinn",
    "rafa",
    "rosa",
    "sami",
    "sara",
    "sofia",
    "tariq",
    "theo",
    "tomas",
    "uma",
    "vera",
    "viktor",
    "wanda",
    "willa",
    "xenia",
    "yara",
    "yusuf",
    "zara",
    "zoe",
]
# Of every hundred in the crowd: how many have a mail address, have closed their account, have next to no points, or
# never earned a token.
WITH_ADDRESS, CLOSED, POOR, TOKENLESS = 40, 2, 4, 4
RICHEST = 60_000


def invent(
    count: int, *, rules: Rules, start: dt.datetime, random: Random, known_passwords: bool
) -> Iterator[DemoPlayer]:
    """Yield `count` players, the cast first; each was referred by an earlier one or by nobody."""
    earlier: list[DemoPlayer] = []
    for number in range(count):
        # One after the other, in the month before the first heist.
        joined_at = start - dt.timedelta(seconds=round(30 * 86400 * (1 - number / count)) + 3600)
        if number < len(CAST):
            player = _of_the_cast(list(CAST)[number], joined_at, rules, random, known_passwords)
        else:
            player = _of_the_crowd(number, joined_at, rules, random)
        if earlier and random.random() < 0.6:
            referrer = earlier[random.randrange(len(earlier))]
            if referrer.raider:
                player.referrer = referrer
        player.points = player.starting_points
        player.coins = player.starting_coins
        earlier.append(player)
        yield player


def _of_the_cast(name: str, joined_at: dt.datetime, rules: Rules, random: Random, known_passwords: bool) -> DemoPlayer:
    points = {"bob": 1700, "oscar": RICHEST, "alice": 850, "erin": max(0, rules.min_target_points - 5)}
    player = DemoPlayer(
        name=name,
        joined_at=joined_at,
        email=f"{name}@example.com",
        password=PASSWORD if known_passwords and name == "alice" else None,
        active=name != "ivan",
        starting_points=points.get(name, random.randrange(600, 3000)),
        starting_coins=500,
        raider=name not in ("bob", "erin", "frank", "ivan"),
        # What happens to the cast is in the script.
        prey=False,
    )
    return player


def _of_the_crowd(number: int, joined_at: dt.datetime, rules: Rules, random: Random) -> DemoPlayer:
    part = random.randrange(100)
    closed, poor = part < CLOSED, CLOSED <= part < CLOSED + POOR
    tokenless = CLOSED + POOR <= part < CLOSED + POOR + TOKENLESS
    name = f"{random.choice(FIRST_NAMES)}{number}"
    if poor:
        points = random.randrange(max(1, rules.min_target_points))
    else:
        points = min(int(400 * random.paretovariate(0.9)), RICHEST - 1000 + random.randrange(500))
    return DemoPlayer(
        name=name,
        joined_at=joined_at,
        email=f"{name}@example.com" if random.randrange(100) < WITH_ADDRESS else "",
        active=not closed,
        starting_points=points,
        starting_coins=random.randrange(0, 40) * 10,
        raider=not (closed or poor or tokenless),
        prey=not (closed or poor),
    )
