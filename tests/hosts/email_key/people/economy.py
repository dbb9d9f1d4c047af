from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from heists.economy import Economy, PointEventRow

from .models import Person, PointLine


class LedgerEconomy(Economy):
    resets_monthly = False

    def players(self):
        mine = PointLine.objects.filter(person=OuterRef("pk")).order_by()
        total = mine.values("person").annotate(total=Sum("amount")).values("total")
        return Person.objects.annotate(monthly_points=Coalesce(Subquery(total), 0))

    def lock(self, *player_ids):
        # Not against the keys: rows that only refer to these people need not wait.
        list(Person.objects.select_for_update(no_key=True).filter(pk__in=player_ids).order_by("pk").values("pk"))

    def transfer(self, heist):
        if self.players().get(pk=heist.victim_id).monthly_points != heist.victim_points_before:
            raise RuntimeError("The balance is not the one that was locked.")
        for player_id, amount in ((heist.victim_id, -heist.points_stolen), (heist.attacker_id, heist.points_stolen)):
            PointLine.objects.create(person_id=player_id, amount=amount, heist_id=heist.pk)

    def point_events(self, heist_ids):
        lines = PointLine.objects.filter(heist_id__in=list(heist_ids))
        return [PointEventRow(*row) for row in lines.values_list("heist_id", "person_id", "amount")]
