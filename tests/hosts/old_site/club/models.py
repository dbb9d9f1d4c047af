from django.conf import settings
from django.db import models


class ScoreCard(models.Model):
    """The points and gems of a user. Old users have none."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="score_card")
    month = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    gems = models.PositiveIntegerField(default=0)

    def __str__(self):
        return f"{self.user_id}: {self.month}"


class EventType(models.Model):
    name = models.CharField(max_length=40, unique=True)
    description = models.TextField(blank=True)

    def __str__(self):
        return self.name


class Event(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    type = models.ForeignKey(EventType, on_delete=models.PROTECT)
    points = models.IntegerField()
    heist = models.CharField(max_length=20, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.type_id}: {self.points:+d}"
