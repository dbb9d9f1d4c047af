import secrets

from game.models import Balance, Player

PREFIX = "/play/v1/heists/"
DATABASES = ["default", "game"]


def make_player_without_balance():
    name = secrets.token_hex(6)
    return Player.objects.create(username=name, email=f"{name}@example.com")


def make_player(points, coins=0):
    player = make_player_without_balance()
    Balance.objects.create(player=player, points=points)
    return player
