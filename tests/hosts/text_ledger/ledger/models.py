from django.conf import settings
from django.db import models
from django.utils import timezone


class Account(models.Model):
    """Opened at a person's first booking."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

    def __str__(self):
        return f"account of {self.owner_id}"


class Booking(models.Model):
    """A balance is the sum of these. Points count in the month of `booked_at`."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    currency = models.CharField(max_length=6, choices=[("points", "points"), ("coins", "coins")])
    amount = models.IntegerField()
    memo = models.CharField(max_length=100, blank=True, db_index=True)
    booked_at = models.DateTimeField(default=timezone.now)

    def __str__(self):
        return f"{self.amount:+d} {self.currency}"
