"""The host's own test of its economy."""

import cast
from django.test import TransactionTestCase

from heists.testing import EconomyConformance


class EconomyTests(EconomyConformance, TransactionTestCase):
    databases = getattr(cast, "DATABASES", ["default"])

    def make_player(self, points, coins=0):
        return cast.make_player(points, coins)

    def make_player_without_balance(self):
        return cast.make_player_without_balance() if hasattr(cast, "make_player_without_balance") else None
