import uuid

from players.models import Player


def make_player(points, coins=0):
    return Player.objects.create(email=f"{uuid.uuid4()}@example.com", points=points)
