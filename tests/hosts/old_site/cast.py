import secrets

from club.models import ScoreCard
from django.contrib.auth.models import User


def make_player_without_balance():
    return User.objects.create(username=f"member-{secrets.token_hex(6)}")


def make_player(points, coins=0):
    user = make_player_without_balance()
    ScoreCard.objects.create(user=user, month=points, total=points, gems=coins)
    return user
