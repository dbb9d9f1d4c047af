"""The host's own test of its economy."""

import cast
from django.test import TransactionTestCase

from heists.testing import EconomyConformance


class EconomyKeepsItsPromises(EconomyConformance, TransactionTestCase):
    def make_player(self, points, coins=0):
        return cast.make_player(points, coins)

    def make_newcomer(self):
        return cast.make_newcomer() if hasattr(cast, "make_newcomer") else None
