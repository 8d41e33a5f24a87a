"""What a Dramatiq process imports: Django, then the actor and its broker."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
django.setup()

from sagas.actors import drive_saga  # noqa: E402  needs Django's settings
from sagas.broker import broker  # noqa: E402

__all__ = ["broker", "drive_saga"]
