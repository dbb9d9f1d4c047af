from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class GamificationConfig(AppConfig):
    name = "gamification"
    verbose_name = _("Gamification")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported, because drf-spectacular finds extensions that way.
        from .api import schema  # noqa: F401
        from .event_types import seed_after_flush

        post_migrate.connect(seed_after_flush, sender=self, dispatch_uid="gamification.seed_event_types")
