from django.db.models import F
from django.db.models.functions import Coalesce

from heists.economy import Economy

from .models import Member, Profile


class MemberEconomy(Economy):
    resets_monthly = False

    def players(self):
        return Member.objects.annotate(monthly_points=Coalesce(F("profile__points"), 0))

    def lock(self, *player_ids):
        Profile.objects.bulk_create([Profile(member_id=pk) for pk in sorted(player_ids)], ignore_conflicts=True)
        list(Profile.objects.select_for_update().filter(member__in=player_ids).order_by("member_id"))

    def transfer(self, heist):
        self._set(heist.victim_id, heist.victim_points_before, heist.victim_points_after)
        self._set(heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after)

    def _set(self, player_id, before, after):
        if not Profile.objects.filter(member=player_id, points=before).update(points=after):
            raise RuntimeError("The balance is not the one that was locked.")

    def name(self, player):
        return self.names([player])[player.pk]

    def names(self, players):
        shown = dict(
            Profile.objects.filter(member__in=[player.pk for player in players]).values_list("member_id", "shown_name")
        )
        return {player.pk: shown.get(player.pk) or f"Member {player.pk}" for player in players}

    def search_players(self, text, *, exact=False):
        lookup = "exact" if exact else "startswith"
        return Member.objects.filter(**{f"profile__shown_name__{lookup}": text}).order_by("profile__shown_name")
