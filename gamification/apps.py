from django.apps import AppConfig
from django.conf import settings
from django.core.checks import register
from django.db.models.signals import post_migrate, post_save
from django.utils.translation import gettext_lazy as _


class GamificationConfig(AppConfig):
    name = "gamification"
    verbose_name = _("Gamification")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported, because drf-spectacular finds extensions that way.
        from .api import schema  # noqa: F401
        from .checks import check_settings
        from .event_types import seed_after_flush
        from .services import end_tokens

        register(check_settings, "gamification")
        post_save.connect(end_tokens, sender=settings.AUTH_USER_MODEL, dispatch_uid="gamification.end_tokens")
        post_migrate.connect(seed_after_flush, sender=self, dispatch_uid="gamification.seed_event_types")
