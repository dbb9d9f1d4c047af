import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class Player(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    points = models.IntegerField(default=0)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    objects = BaseUserManager()

    USERNAME_FIELD = "email"

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(points__gte=0), name="points_not_negative")]

    def __str__(self):
        return self.email

    def save(self, *args, update_fields=None, **options):
        # Forms save the whole row, and its points may be old by then; only the economy writes points.
        if update_fields is None and not self._state.adding:
            update_fields = [field.name for field in self._meta.concrete_fields if field.name not in ("id", "points")]
        super().save(*args, update_fields=update_fields, **options)


class PointLine(models.Model):
    player = models.ForeignKey(Player, on_delete=models.CASCADE)
    points = models.IntegerField()
    heist_id = models.BigIntegerField(null=True, db_index=True)

    def __str__(self):
        return f"{self.points:+d}"
