"""The conformance suite: tests that a host runs against its own economy.

    from django.test import TransactionTestCase
    from heists.testing import EconomyConformance

    class YourEconomyTests(EconomyConformance, TransactionTestCase):
        def make_player(self, points, coins=0):
            player = Player.objects.create(username=uuid4().hex)
            Balance.objects.create(player=player, points=points)
            return player

Run it on PostgreSQL as well: SQLite has no row locks, so the tests of `lock` only call it there.
"""

from .suite import EconomyConformance

__all__ = ["EconomyConformance"]
