import secrets

from club.models import Event, EventType, ScoreCard
from club.recompute import recompute
from django.contrib.auth.models import User


def make_player_without_balance():
    return User.objects.create(username=f"member-{secrets.token_hex(6)}")


def make_player(points, coins=0):
    user = make_player_without_balance()
    ScoreCard.objects.create(user=user, month=points, total=points, gems=coins)
    Event.objects.create(user=user, type=EventType.objects.get_or_create(name="VISIT")[0], points=points)
    return user


def after_heist(*players):
    """The nightly job of this site."""
    for player in players:
        recompute(player.pk)
