"""The conformance suite: tests that a host runs against its own economy.

    from django.test import TransactionTestCase
    from heists.testing import EconomyConformance

    class MyEconomyTests(EconomyConformance, TransactionTestCase):
        def make_player(self, points, coins=0):
            return User.objects.create(email=f"{uuid4()}@example.com", points=points, coins=coins)

Run it on PostgreSQL as well: SQLite has no row locks, so the tests of `lock` only call it there.
"""

from .suite import EconomyConformance

__all__ = ["EconomyConformance"]
