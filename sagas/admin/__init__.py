"""The console: sagas to look at and to operate, over the same services as the API."""

from sagas.admin import saga, users

__all__ = ["saga", "users"]
