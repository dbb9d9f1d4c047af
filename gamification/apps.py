from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class GamificationConfig(AppConfig):
    name = "gamification"
    verbose_name = _("Gamification")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # drf-spectacular finds its extensions by their being imported.
        from .api import schema  # noqa: F401
        from .event_types import refill_after_flush

        post_migrate.connect(refill_after_flush, sender=self, dispatch_uid="gamification.refill")
