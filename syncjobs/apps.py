from django.apps import AppConfig


class SyncJobsConfig(AppConfig):
    name = "syncjobs"
    default_auto_field = "django.db.models.BigAutoField"
