"""What stands between clients and the service: who ends TLS, and which pages may call the API."""

from __future__ import annotations

from urllib.parse import urlsplit

from sagaproject.config import Environment

YEAR = 365 * 24 * 3600


def tls(env: Environment, *, production: bool) -> bool:
    """Whether SAGA_TLS says that clients come by TLS, which a gateway ends before the service."""
    return env.choice("SAGA_TLS", "on" if production else "off", ("off", "on")) == "on"


def cors(env: Environment) -> list[str]:
    """The origins of CORS_ALLOWED_ORIGINS whose pages may call the API from a browser."""
    found = []
    for text in env.names("CORS_ALLOWED_ORIGINS"):
        if _is_origin(text):
            found.append(text)
        else:
            env.problem(
                "E014",
                f"CORS_ALLOWED_ORIGINS: {text[:100]!r} is not an origin.",
                "An origin is a scheme, a host and perhaps a port, such as "
                "https://shop.example.com, without a path; there is no wildcard.",
            )
    return found


def _is_origin(text: str) -> bool:
    try:
        parsed = urlsplit(text)
        parsed.port  # noqa: B018 - raises if it is none
    except ValueError:
        return False
    exact = f"{parsed.scheme}://{parsed.netloc}" == text
    plain = not set("*@\\ ") & set(parsed.netloc)
    return exact and parsed.scheme in ("http", "https") and bool(parsed.hostname) and plain
