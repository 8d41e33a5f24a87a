"""The orchestrator as a Django app."""

from django.apps import AppConfig


class SagasConfig(AppConfig):
    """Loads the executors and connects what follows a commit, once settings are known."""

    name = "sagas"
    verbose_name = "Sagas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from executors.registry import registry
        from sagas import actors, checks, metrics

        registry.load()
        actors.connect()
        metrics.connect()
        checks.register()
