from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Coalesce

from heists.economy import Economy, PointEventRow

from .models import Event, EventType, ScoreCard


class ClubEconomy(Economy):
    has_coins = True
    resets_monthly = False

    def players(self):
        return User.objects.annotate(monthly_points=Coalesce(F("score_card__month"), 0))

    def lock(self, *player_ids):
        ScoreCard.objects.bulk_create([ScoreCard(user_id=pk) for pk in sorted(player_ids)], ignore_conflicts=True)
        list(ScoreCard.objects.select_for_update().filter(user__in=player_ids).order_by("user_id"))

    def transfer(self, heist):
        self._move(heist, "HEIST_LOSS", heist.victim_id, heist.victim_points_before, heist.victim_points_after)
        self._move(heist, "HEIST_GAIN", heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after)

    def give_back(self, reversal):
        heist = reversal.heist
        before, after = reversal.attacker_points_before, reversal.attacker_points_after
        self._move(heist, "HEIST_GAIN", heist.attacker_id, before, after)
        self._move(heist, "HEIST_LOSS", heist.victim_id, reversal.victim_points_before, reversal.victim_points_after)

    def _move(self, heist, kind, user_id, before, after):
        if not ScoreCard.objects.filter(user=user_id, month=before).update(month=after):
            raise RuntimeError("The balance is not the one that was locked.")
        kind = EventType.objects.get(name=kind)
        Event.objects.create(user_id=user_id, type=kind, points=after - before, heist=heist.pk)

    def coins(self, player_id):
        return ScoreCard.objects.filter(user=player_id).values_list("gems", flat=True).first() or 0

    def spend_coins(self, player_id, amount, *, reference):
        ScoreCard.objects.filter(user=player_id).update(gems=F("gems") - amount)

    def point_events(self, heist_ids):
        events = Event.objects.filter(heist__in=[str(pk) for pk in heist_ids])
        return [PointEventRow(int(event.heist), event.user_id, event.points) for event in events]
