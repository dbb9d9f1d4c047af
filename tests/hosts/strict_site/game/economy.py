from django.db.models import F
from django.db.models.functions import Coalesce

from heists.economy import Economy

from .models import Balance, Player


class GameEconomy(Economy):
    resets_monthly = False

    def players(self):
        return Player.objects.annotate(monthly_points=Coalesce(F("balance__points"), 0))

    def lock(self, *player_ids):
        Balance.objects.bulk_create([Balance(player_id=pk) for pk in sorted(player_ids)], ignore_conflicts=True)
        list(Balance.objects.select_for_update().filter(player__in=player_ids).order_by("player_id"))

    def transfer(self, heist):
        self._set(heist.victim_id, heist.victim_points_before, heist.victim_points_after)
        self._set(heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after)

    def _set(self, player_id, before, after):
        if not Balance.objects.filter(player=player_id, points=before).update(points=after):
            raise RuntimeError("The balance is not the one that was locked.")
