"""Settings, from environment variables; every one has a working default outside production.

README.md has the table of variables.
"""

from __future__ import annotations

import os
from pathlib import Path

from redis.backoff import NoBackoff
from redis.retry import Retry

from sagaproject import addresses, config, credentials, gateway, tracing
from sagaproject.console import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent

_env = config.Environment(os.environ)
STATE_DIR = Path(_env.text("SAGA_STATE_DIR", str(BASE_DIR / ".state")))
ENVIRONMENT = config.environment(_env)
_production = ENVIRONMENT == "production"

SECRET_KEY = config.secret_key(_env, STATE_DIR, production=_production)
DEBUG = False
PORT = _env.whole("PORT", 3000, least=1, most=65535)
ALLOWED_HOSTS = _env.names("ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = _env.names("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "sagas",
]

MIDDLEWARE = [
    "sagas.api.middleware.RequestIdMiddleware",
    # What sets headers comes before all that may answer by itself.
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sagas.api.security.HeadersMiddleware",
    "sagas.api.security.OriginsMiddleware",
    "sagas.api.security.TransportMiddleware",
    "sagas.api.middleware.ProblemMiddleware",
    "sagaproject.postgresql.middleware.PatienceMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "sagas.api.people.Sessions",
    "sagas.api.people.Language",
    "sagas.api.security.HostMiddleware",  # Django's CommonMiddleware
    "sagas.api.people.Forms",
    "sagas.api.people.Users",
    "sagas.api.people.Messages",
    "sagas.metrics.http.MetricsMiddleware",
]

ROOT_URLCONF = "sagaproject.urls"
WSGI_APPLICATION = "sagaproject.wsgi.application"
APPEND_SLASH = True  # for the admin; API paths have no trailing slash and get no redirect

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": addresses.database(_env, STATE_DIR)}
_postgresql = "postgresql" in DATABASES["default"]["ENGINE"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = addresses.redis_url(_env)
addresses.check_pair(_env, postgresql=_postgresql, redis=bool(REDIS_URL))
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            # Apart from the broker where wanted: a full cache may evict, messages may not.
            "LOCATION": addresses.cache_url(_env, REDIS_URL),
            "KEY_PREFIX": "saga",
            "VERSION": 2,  # 1 was pickled
            "OPTIONS": {
                # Not pickle, the default: who writes to Redis would run code here.
                "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
                "SOCKET_CONNECT_TIMEOUT": 0.5,
                "SOCKET_TIMEOUT": 0.5,
                # Everything kept here can be done without; nobody is to wait for it.
                "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 0)},
            },
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "sagas" / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "sagaproject.staticfiles.GatewayStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = _env.whole("SAGA_MAX_BODY_BYTES", 1_048_576, least=1024)

# What guards it: TLS at the gateway, cookies, and browsers' pages of other origins.
SAGA_TLS = gateway.tls(_env, production=_production)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SAGA_TLS else None
SECURE_HSTS_SECONDS = gateway.YEAR if SAGA_TLS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SAGA_TLS
SILENCED_SYSTEM_CHECKS = [
    # It is in sagas.api.people, as a subclass that lets requests of programs pass.
    "security.W003",
    # Only the host itself is ours to bind to TLS: others of the domain may not have it.
    "security.W005",
    "security.W021",
    # sagas.api.security redirects what came in plain through the gateway, and nothing else:
    # health checks, Prometheus and services within ask the port itself.
    "security.W008",
]
SESSION_COOKIE_AGE = 12 * 3600  # from the log-in on
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
CORS_ALLOWED_ORIGINS = gateway.cors(_env)
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_METHODS = ("GET", "HEAD", "OPTIONS", "POST")
CORS_ALLOW_HEADERS = (
    *("accept", "authorization", "content-type", "idempotency-key", "prefer"),
    *("traceparent", "tracestate", "x-request-id"),
)
CORS_EXPOSE_HEADERS = (
    *("Idempotency-Replayed", "Location", "Preference-Applied", "Retry-After"),
    "X-Request-Id",
)
SAGA_AUTHORIZATIONS = credentials.authorizations(_env)

# Sagas. Durations are in seconds here; variables that end in _MS are in milliseconds.
SAGA_EXECUTORS = _env.names("SAGA_EXECUTORS", "executors.purchase,executors.returns")
SAGA_PARTICIPANTS = addresses.participants(_env, production=_production)
SAGA_RETRY = {
    "max_retries": _env.whole("SAGA_MAX_RETRIES", 3, most=100),
    "delay": _env.number("SAGA_RETRY_DELAY_MS", 1000) / 1000,
    "multiplier": _env.number("SAGA_BACKOFF_MULTIPLIER", 2, least=1, most=100),
    "max_delay": _env.number("SAGA_MAX_RETRY_DELAY_MS", 300_000) / 1000,
}
SAGA_BREAKER = {
    "threshold": _env.whole("SAGA_FAILURE_THRESHOLD", 5, least=1),
    "window": _env.number("SAGA_MONITORING_PERIOD_MS", 60_000, least=1) / 1000,
    "recovery": _env.number("SAGA_RECOVERY_TIMEOUT_MS", 30_000, least=1) / 1000,
}
SAGA_LEASE = _env.number("SAGA_LEASE_MS", 7000, least=100) / 1000
SAGA_CALL_TIMEOUT = config.call_timeout(_env, SAGA_LEASE)
SAGA_SWEEP_INTERVAL = _env.number("SAGA_SWEEP_INTERVAL_MS", 1000, least=10) / 1000
SAGA_PARK = _env.number("SAGA_PARK_MS", 30_000, least=100) / 1000
SAGA_MAX_ANSWER_BYTES = _env.whole("SAGA_MAX_ANSWER_BYTES", 1_048_576, least=1)
SAGA_WORKER_PROCESSES = _env.whole("SAGA_WORKER_PROCESSES", 2, least=1, most=64)
SAGA_WORKER_THREADS = _env.whole("SAGA_WORKER_THREADS", 16, least=1, most=256)
SAGA_API_PROCESSES = _env.whole("SAGA_API_PROCESSES", 2, least=1, most=64)
SAGA_API_THREADS = _env.whole("SAGA_API_THREADS", 8, least=1, most=256)
SAGA_MAX_WAIT = _env.whole("SAGA_MAX_WAIT_S", 60, least=0, most=300)
SAGA_CLIENT_TIMEOUT = _env.number("SAGA_CLIENT_TIMEOUT_MS", 20_000, least=100) / 1000
SAGA_API_DRIVES = _env.choice("SAGA_API_DRIVES", "off", ("off", "on")) == "on"
SAGA_DRAIN = _env.whole("SAGA_DRAIN_MS", 0, most=60_000) / 1000
SAGA_TWO_PERSON = _env.choice("SAGA_TWO_PERSON", "off", ("off", "on")) == "on"
SAGA_SHARED_STATE = bool(REDIS_URL)
SAGA_TRACING, SAGA_TRACING_PROBLEMS = tracing.wanted(_env)
# The API's door. Requests a minute and client, 0: any number; proxies in front that we run.
SAGA_API_OPEN = config.api_open(_env, production=_production)
SAGA_API_RATE = _env.whole("SAGA_API_RATE", 6000)
SAGA_TRUSTED_PROXIES = _env.whole("SAGA_TRUSTED_PROXIES", 0, most=10)
SAGA_CONFIG_PROBLEMS = _env.problems

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["sagas.api.parsers.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "sagas.api.authentication.ApiKeyAuthentication",
        "sagas.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "sagas.api.authentication.WithinRate",
        "sagas.api.authentication.Scoped",
    ],
    "DEFAULT_METADATA_CLASS": "sagas.api.negotiation.JSONMetadata",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "sagas.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # Accept alone says what is wanted; `?format=` is no parameter
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Saga orchestrator",
    "DESCRIPTION": (
        "Runs distributed transactions over HTTP microservices as sagas: a saga completes, or "
        "the effects of its steps are taken back by compensations. A failed saga is a state of "
        "the resource and never an HTTP error; errors are problem documents (RFC 9457)."
    ),
    "VERSION": "1.0.0",
    "TAGS": [
        {"name": "sagas", "description": "Create, read and steer sagas."},
        {"name": "monitoring", "description": "Health checks and metrics."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],  # the document is everybody's
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # The page would have swagger.io look at the document, and show its badge.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "sagas.api.documentation.add_server",
    ],
    "ENUM_NAME_OVERRIDES": {
        "SagaStatus": "sagas.api.serializers.SAGA_STATUSES",
        "StepStatus": "sagas.api.serializers.STEP_STATUSES",
        "Direction": "sagas.api.serializers.DIRECTIONS",
        "Operation": "sagas.api.serializers.OPERATIONS",
        "HealthStatus": "sagas.api.serializers.HEALTH",
        "PartStatus": "sagas.api.serializers.PART_HEALTH",
    },
}

# Where workers tell their metrics; 0: the API of this machine does.
SAGA_METRICS_PORT = _env.whole("SAGA_METRICS_PORT", 0, most=65535)
SAGA_METRICS_BIND = _env.text("SAGA_METRICS_BIND", "127.0.0.1")

LOG_LEVEL = _env.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "warn", "error"))
LOG_FORMAT = _env.choice("LOG_FORMAT", "json", ("json", "text"))
LOGGING_CONFIG = "sagaproject.logs.configure"
LOGGING = {"level": LOG_LEVEL, "format": LOG_FORMAT}
