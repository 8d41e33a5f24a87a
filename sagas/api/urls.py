"""The API's addresses, without trailing slashes."""

from django.urls import path
from drf_spectacular.views import SpectacularSwaggerSplitView

from sagas import paths  # noqa: F401 - registers <saga_id:…>
from sagas.api import health
from sagas.api.document import DocumentView
from sagas.api.views import SagaViewSet

_SAGA = "api/v1/sagas/<saga_id:saga_id>"

urlpatterns = [
    path("api/v1/sagas", SagaViewSet.as_view({"get": "list", "post": "create"}), name="saga-list"),
    path(_SAGA, SagaViewSet.as_view({"get": "retrieve"}), name="saga-detail"),
    path(f"{_SAGA}/events", SagaViewSet.as_view({"get": "events"}), name="saga-events"),
    path(f"{_SAGA}/execute", SagaViewSet.as_view({"post": "execute"}), name="saga-execute"),
    path(
        f"{_SAGA}/compensate", SagaViewSet.as_view({"post": "compensate"}), name="saga-compensate"
    ),
    path(f"{_SAGA}/retry", SagaViewSet.as_view({"post": "retry"}), name="saga-retry"),
    path("api-docs/openapi.yaml", DocumentView.as_view(), name="openapi"),
    # Its script comes by itself, as none within a page may run.
    path("api-docs", SpectacularSwaggerSplitView.as_view(url_name="openapi"), name="api-docs"),
    path("health", health.health, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", health.metrics, name="metrics"),
]
