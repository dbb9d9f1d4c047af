"""No admin, no sessions, a user model that is a plain model, stateless tokens, and names in a profile."""

from base_settings import *  # noqa: F403

# The user's app is sorted after heists.
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "heists", "zplayers"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "urls_without_admin"
AUTH_USER_MODEL = "zplayers.Member"
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["zplayers.authentication.StatelessAuthentication"]}
HEISTS = {"ECONOMY": "zplayers.economy.MemberEconomy"}
