import secrets

from people.models import Person, PointLine


def make_player_without_balance():
    return Person.objects.create(email=f"{secrets.token_hex(8)}@example.com")


def make_player(points, coins=0):
    person = make_player_without_balance()
    PointLine.objects.create(person=person, amount=points)
    return person
