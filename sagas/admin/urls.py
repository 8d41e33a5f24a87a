"""The addresses of the console that belong to no table."""

from django.contrib.admin.views.decorators import staff_member_required
from django.urls import path

from sagas.admin import breakers, keys, login, overview

urlpatterns = [
    path("login/", login.login),  # in the place of the console's own `admin:login`
    path("overview/", staff_member_required(overview.live), name="overview"),
    path("breakers/<str:name>/reset/", staff_member_required(breakers.reset), name="breaker-reset"),
    path("api-keys/", staff_member_required(keys.index), name="api-keys"),
    path(
        "api-keys/<str:prefix>/revoke/", staff_member_required(keys.revoke), name="api-key-revoke"
    ),
]
