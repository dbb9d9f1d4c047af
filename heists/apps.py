from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class HeistsConfig(AppConfig):
    name = "heists"
    verbose_name = _("Heists")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks
        from .models import RuleSetQuerySet
        from .services.event_types import refill_after_flush

        checks.register()
        post_migrate.connect(refill_after_flush, sender=self, dispatch_uid="heists.refill_event_types")
        post_migrate.connect(RuleSetQuerySet.forget, dispatch_uid="heists.forget_rule_sets")
