import secrets

from ledger.models import Account, Booking
from people.models import Person


def make_player_without_balance():
    return Person.objects.create(number=f"ES/{secrets.token_hex(6)}")


def make_player(points, coins=0):
    person = make_player_without_balance()
    account = Account.objects.create(owner=person)
    Booking.objects.create(account=account, currency="points", amount=points)
    Booking.objects.create(account=account, currency="coins", amount=coins)
    return person
