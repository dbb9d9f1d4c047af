from django.conf import settings
from django.db import models


class Member(models.Model):
    """A user that is no AbstractBaseUser: what Django's own checks ask for, and nothing else."""

    USERNAME_FIELD = "handle"
    REQUIRED_FIELDS: list[str] = []
    is_authenticated = True
    is_anonymous = False

    handle = models.CharField(max_length=40, unique=True)

    def __str__(self):
        return self.handle


class Profile(models.Model):
    member = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    shown_name = models.CharField(max_length=40, db_index=True)
    points = models.PositiveIntegerField(default=0)

    def __str__(self):
        return self.shown_name
