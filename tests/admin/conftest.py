from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

Login = Callable[..., Client]


@pytest.fixture
def login(db: None) -> Login:
    """Logs a member of the staff in who has just these permissions on sagas."""

    def client(username: str, *permissions: str) -> Client:
        user = User.objects.create_user(username, is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="sagas", codename__in=permissions)
        )
        assert user.user_permissions.count() == len(permissions)
        logged_in = Client()
        logged_in.force_login(user)
        return logged_in

    return client


@pytest.fixture
def viewer(login: Login) -> Client:
    return login("viewer", "view_saga")


@pytest.fixture
def root(db: None) -> Client:
    """A superuser."""
    logged_in = Client()
    logged_in.force_login(User.objects.create_superuser("root"))
    return logged_in
