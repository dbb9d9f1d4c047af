from django.db.models import IntegerField, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from ledger.models import Account, Booking

from heists.economy import Economy, PointEventRow
from heists.errors import InsufficientCoins

from .models import Person


class LedgerEconomy(Economy):
    has_coins = True

    def players(self):
        month = timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        mine = Booking.objects.filter(account__owner=OuterRef("pk"), currency="points", booked_at__gte=month)
        total = mine.order_by().values("account").annotate(total=Sum("amount")).values("total")
        return Person.objects.annotate(monthly_points=Coalesce(Subquery(total), 0, output_field=IntegerField()))

    def lock(self, *player_ids):
        Account.objects.bulk_create([Account(owner_id=pk) for pk in sorted(player_ids)], ignore_conflicts=True)
        list(Account.objects.select_for_update().filter(owner__in=player_ids).order_by("owner_id"))

    def transfer(self, heist):
        now = dict(self.players().filter(pk=heist.victim_id).values_list("pk", "monthly_points"))
        if now[heist.victim_id] != heist.victim_points_before:
            raise RuntimeError("The balance is not the one that was locked.")
        self._book(heist.victim_id, "points", -heist.points_stolen, f"heist:{heist.pk}")
        self._book(heist.attacker_id, "points", heist.points_stolen, f"heist:{heist.pk}")

    def coins(self, player_id):
        mine = Booking.objects.filter(account__owner=player_id, currency="coins")
        return mine.aggregate(total=Sum("amount", default=0))["total"]

    def spend_coins(self, player_id, amount, *, reference):
        if self.coins(player_id) < amount:
            raise InsufficientCoins(required=amount, available=self.coins(player_id))
        self._book(player_id, "coins", -amount, reference)

    def _book(self, player_id, currency, amount, memo):
        account = Account.objects.get(owner=player_id)
        Booking.objects.create(account=account, currency=currency, amount=amount, memo=memo)

    def point_events(self, heist_ids):
        for row in Booking.objects.filter(memo__in=[f"heist:{pk}" for pk in heist_ids]).select_related("account"):
            yield PointEventRow(int(row.memo.removeprefix("heist:")), row.account.owner_id, row.amount)

    def name(self, player):
        return player.called or super().name(player)
