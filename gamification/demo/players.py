"""The invented players: a named cast, each in a known state, and random players."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from heists.economy import current_month
from heists.rules import Loss, Outcome, Rules, Truce

PASSWORD = "heist-demo"  # noqa: S105 - public, and set only while DEBUG is on
SIGN_IN, STAFF, SUPPORT, MANAGER = "alice", "staff", "support", "manager"

# Each name, and the state at the end of the simulation.
CAST = {
    "alice": "holds tokens, no cooldown: the account to sign in with",
    "bob": "can be attacked",
    "carol": "lost points a few hours ago: protected; email to her fails",
    "dave": "has a live shield",
    "erin": "has too few points to steal",
    "frank": "has no tokens, and has turned emails off",
    "grace": "was blocked by a shield: on cooldown",
    "heidi": "owned the shield that blocked grace",
    "ivan": "has closed the account",
    "mallory": "has many rejected attempts",
    "oscar": "leads the leaderboard",
    "victor": "attacks often",
}
EMAIL_FAILS, EMAIL_OFF = "carol", "frank"
FIRST_NAMES = (
    "ada amir anna ben bruno cara chen clara dana diego elif emma enzo fatima finn gita hana hugo ida ines jack jana"
    " jonas kaya kenji lara leo lina luca maya mia milo nadia nils noa olga omar paula pedro petra quinn rafa rosa sami"
    " sara sofia tariq theo tomas uma vera viktor wanda willa xenia yara yusuf zara zoe"
).split()
EMAIL_PERCENT, CLOSED_PERCENT, POOR_PERCENT, TOKENLESS_PERCENT = 40, 2, 4, 4
REFERRED_PERCENT = 60
MAX_STARTING_POINTS = 60_000
SIGNUP_DAYS = 30


class LiveShield(NamedTuple):
    """A shield that is neither used nor expired."""

    id: int
    player: Player
    bought_at: dt.datetime
    expires_at: dt.datetime


@dataclass(slots=True, eq=False)
class Player:
    """One invented player: the account, and the state of the game so far."""

    name: str
    joined_at: dt.datetime
    email: str = ""
    # Empty: the account has no usable password.
    password: str = ""
    is_staff: bool = False
    is_superuser: bool = False
    active: bool = True
    referrer: Player | None = None
    # Earned at sign-up, and again when a month begins while the account is open.
    starting_points: int = 0
    starting_coins: int = 0
    # Whether the simulation makes the player an attacker, and a victim, outside the scenario.
    attacks: bool = True
    attackable: bool = True
    # The user's primary key; set by accounts.insert_players.
    key: int = 0

    # The month's points, the month they belong to, and all points ever earned.
    points: int = field(init=False)
    month: dt.date = field(init=False)
    total_points: int = field(init=False)
    coins: int = field(init=False)
    tokens: int = 0
    tokens_spent: int = 0
    last_earned_at: dt.datetime | None = None
    last_spent_at: dt.datetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    losses: tuple[Loss, ...] = ()
    truces: tuple[Truce, ...] = ()
    loss_limit_until: dt.datetime | None = None
    shield: LiveShield | None = None

    def __post_init__(self) -> None:
        self.points = self.total_points = self.starting_points
        self.month, self.coins = current_month(self.joined_at), self.starting_coins


def invent_players(count: int, *, rules: Rules, start: dt.datetime, random: Random) -> list[Player]:
    """Return `count` players, the cast first. Some were referred by an earlier player."""
    players: list[Player] = []
    names = list(CAST)
    for number in range(count):
        # One after the other, in the month before the first heist.
        joined_at = start - dt.timedelta(seconds=round(SIGNUP_DAYS * 86400 * (1 - number / count)) + 3600)
        if number < len(names):
            player = _cast_member(names[number], joined_at, rules, random)
        else:
            player = _random_player(number, joined_at, rules, random)
        if players and random.randrange(100) < REFERRED_PERCENT:
            referrer = random.choice(players)
            # A referral earns a token: those who end without tokens refer nobody.
            player.referrer = referrer if referrer.attacks else None
        players.append(player)
    return players


def _cast_member(name: str, joined_at: dt.datetime, rules: Rules, random: Random) -> Player:
    points = {"bob": 1700, "oscar": MAX_STARTING_POINTS, "alice": 850, "erin": max(0, rules.min_target_points - 5)}
    return Player(
        name,
        joined_at,
        email=f"{name}@example.com",
        active=name != "ivan",
        starting_points=points.get(name, random.randrange(600, 3000)),
        starting_coins=500,
        attacks=name not in ("bob", "erin", "frank", "ivan"),
        attackable=False,
    )


def _random_player(number: int, joined_at: dt.datetime, rules: Rules, random: Random) -> Player:
    kind = random.randrange(100)
    closed, poor = kind < CLOSED_PERCENT, CLOSED_PERCENT <= kind < CLOSED_PERCENT + POOR_PERCENT
    tokenless = CLOSED_PERCENT + POOR_PERCENT <= kind < CLOSED_PERCENT + POOR_PERCENT + TOKENLESS_PERCENT
    name = f"{random.choice(FIRST_NAMES)}{number}"
    if poor:
        points = random.randrange(max(1, rules.min_target_points))
    else:
        # Below oscar, who leads the leaderboard.
        points = min(int(400 * random.paretovariate(0.9)), MAX_STARTING_POINTS - 1000 + random.randrange(500))
    return Player(
        name,
        joined_at,
        email=f"{name}@example.com" if random.randrange(100) < EMAIL_PERCENT else "",
        active=not closed,
        starting_points=points,
        starting_coins=random.randrange(40) * 10,
        attacks=not (closed or poor or tokenless),
        attackable=not (closed or poor),
    )
