"""The addresses of the service."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", include("sagas.api.urls")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/i18n/", include("django.conf.urls.i18n")),
    path("admin/", include("sagas.admin.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "sagas.api.problems.bad_request"
handler403 = "sagas.api.problems.forbidden"
handler404 = "sagas.api.problems.not_found"
handler500 = "sagas.api.problems.server_error"
