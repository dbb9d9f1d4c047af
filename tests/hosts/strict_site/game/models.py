from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models


class Player(AbstractUser):
    pass


class Balance(models.Model):
    player = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    points = models.PositiveIntegerField(default=0)

    def __str__(self):
        return str(self.points)
