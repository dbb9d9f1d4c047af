from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class HeistsConfig(AppConfig):
    name = "heists"
    verbose_name = _("Heists")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, in_force
        from .db.cache_keys import watch_search_path
        from .models import RuleSetQuerySet
        from .services.after_migrate import empty_attempt_log, seed_after_flush, skip_used_ids

        checks.register()
        connection_created.connect(watch_search_path, dispatch_uid="heists.watch_search_path")
        post_migrate.connect(seed_after_flush, sender=self, dispatch_uid="heists.seed_event_types")
        post_migrate.connect(skip_used_ids, sender=self, dispatch_uid="heists.skip_used_ids")
        post_migrate.connect(empty_attempt_log, sender=self, dispatch_uid="heists.empty_attempt_log")
        post_migrate.connect(RuleSetQuerySet.clear_cache, dispatch_uid="heists.clear_rule_set_cache")
        post_migrate.connect(in_force.forget, dispatch_uid="heists.forget_rule_changes")
