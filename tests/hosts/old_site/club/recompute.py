from django.db import transaction
from django.db.models import Sum

from .economy import ClubEconomy
from .models import Event, ScoreCard


def recompute(user_id):
    with transaction.atomic():
        ClubEconomy().lock(user_id)
        # All events, those of heists included.
        total = Event.objects.filter(user=user_id).aggregate(total=Sum("points", default=0))["total"]
        ScoreCard.objects.filter(user=user_id).update(month=total)
