"""The addresses of the service."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("sagas.api.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "sagas.api.problems.bad_request"
handler403 = "sagas.api.problems.forbidden"
handler404 = "sagas.api.problems.not_found"
handler500 = "sagas.api.problems.server_error"
