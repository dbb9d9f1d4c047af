import secrets

from django.core import signing
from django.test import Client
from zplayers.models import Member, Profile


def make_player_without_balance():
    return Member.objects.create(handle=f"{secrets.token_hex(6)}@example.com")


def make_player(points, coins=0):
    member = make_player_without_balance()
    Profile.objects.create(member=member, shown_name=f"Member the {member.pk}th", points=points)
    return member


def make_client(player):
    return Client(headers={"authorization": f"Signed {signing.dumps(str(player.pk))}"})
