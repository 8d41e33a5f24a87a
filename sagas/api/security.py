"""What every answer tells browsers not to do, and what is asked of a request's transport."""

from __future__ import annotations

from collections.abc import Callable

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

from sagas.api import problems

Handler = Callable[[HttpRequest], HttpResponseBase]

_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_PAGES = "; ".join(
    (
        "default-src 'none'",
        # No script within a page runs, whoever wrote it there. Alpine, of which the console's
        # menus are made, compiles the expressions in its attributes: hence 'unsafe-eval'.
        "script-src 'self' 'unsafe-eval'",
        # Unfold's colours and widths, and Swagger UI's pictures, stand within the pages.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_SWAGGER = _PAGES.replace(" 'unsafe-eval'", "")
_UNUSED = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


class HeadersMiddleware:
    """Content-Security-Policy and Permissions-Policy; Django sets the others."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self._get_response(request)
        answer["Content-Security-Policy"] = self._policy(request)
        answer["Permissions-Policy"] = _UNUSED
        return answer

    def _policy(self, request: HttpRequest) -> str:
        if problems.in_console(request):
            return _PAGES
        return _SWAGGER if request.path_info == "/api-docs" else _NOTHING


class TransportMiddleware:
    """With SAGA_TLS, what came to the gateway in plain is sent to TLS, or refused."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # What names no scheme came past the gateway, from within.
        told = request.META.get("HTTP_X_FORWARDED_PROTO", "https")
        if not settings.SAGA_TLS or told == "https" or is_monitoring(request):
            return self._get_response(request)
        if request.method not in ("GET", "HEAD") or request.path_info.startswith("/api/"):
            # A redirect would hide from a client that it shows its key to all on the way.
            return problems.response(403, "This is served over https alone.")
        # A host that is not ours is refused when its address is asked for.
        return HttpResponsePermanentRedirect(
            f"https://{request.get_host()}{request.get_full_path()}"
        )


class OriginsMiddleware(CorsMiddleware):
    """Tells browsers which other origins' pages may call the API, where some may."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.CORS_ALLOWED_ORIGINS:
            return super().__call__(request)  # type: ignore[return-value]  # no coroutine under WSGI
        return self.get_response(request)  # type: ignore[return-value]


class HostMiddleware(CommonMiddleware):
    """Django's own, which refuses hosts that are not ours; but monitors ask by any name."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if is_monitoring(request) else super().process_request(request)


def is_monitoring(request: HttpRequest) -> bool:
    """Whether a gateway, a supervisor or Prometheus asks, by address or a container's name."""
    return request.path_info in ("/health", "/health/live", "/health/ready", "/metrics")
