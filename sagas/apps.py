"""The orchestrator as a Django app."""

from django.apps import AppConfig


class SagasConfig(AppConfig):
    """Loads the executors and connects what follows a commit, once settings are known."""

    name = "sagas"
    verbose_name = "Sagas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from executors.registry import registry
        from sagas import actors, checks, metrics, roles, tracing

        registry.load()
        actors.connect()
        metrics.connect()
        tracing.connect()
        checks.register()
        post_migrate.connect(roles.make_groups, sender=self)
