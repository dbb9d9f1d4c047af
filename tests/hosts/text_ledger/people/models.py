from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class Person(AbstractBaseUser, PermissionsMixin):
    """A member with a membership number. There is no `is_active` column."""

    number = models.CharField(primary_key=True, max_length=20)
    called = models.CharField(max_length=50, blank=True)
    is_staff = models.BooleanField(default=False)

    objects = BaseUserManager()

    USERNAME_FIELD = "number"

    def __str__(self):
        return self.called
