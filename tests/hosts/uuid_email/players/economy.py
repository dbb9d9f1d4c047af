from django.db.models import F

from heists.economy import Economy, PointEventRow

from .models import Player, PointLine


class PlayerEconomy(Economy):
    resets_monthly = False

    def players(self):
        return Player.objects.annotate(monthly_points=F("points"))

    def lock(self, *player_ids):
        # Not against the keys: rows that only refer to these players need not wait. list() is what runs the query.
        list(Player.objects.select_for_update(no_key=True).filter(pk__in=player_ids).order_by("pk").values("pk"))

    def transfer(self, heist):
        self._set(heist, heist.victim_id, heist.victim_points_before, heist.victim_points_after)
        self._set(heist, heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after)

    def give_back(self, reversal):
        heist = reversal.heist
        self._set(heist, heist.attacker_id, reversal.attacker_points_before, reversal.attacker_points_after)
        self._set(heist, heist.victim_id, reversal.victim_points_before, reversal.victim_points_after)

    def _set(self, heist, player_id, before, after):
        if not Player.objects.filter(pk=player_id, points=before).update(points=after):
            raise RuntimeError("The balance is not the one that was locked.")
        PointLine.objects.create(player_id=player_id, points=after - before, heist_id=heist.pk)

    def point_events(self, heist_ids):
        lines = PointLine.objects.filter(heist_id__in=list(heist_ids))
        return [PointEventRow(*row) for row in lines.values_list("heist_id", "player_id", "points")]
