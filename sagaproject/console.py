"""The look of the console: what django-unfold is told of the site."""

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

UNFOLD = {
    "SITE_TITLE": _("Saga orchestrator"),
    "SITE_HEADER": _("Saga orchestrator"),
    "SITE_SYMBOL": "swap_calls",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("sagas/icon.svg"),
        }
    ],
    "SHOW_LANGUAGES": True,
    "STYLES": [
        lambda request: static("sagas/console.css"),
        lambda request: static("sagas/list.css"),
        lambda request: static("sagas/page.css"),
        lambda request: static("sagas/overview.css"),
    ],
    "DASHBOARD_CALLBACK": "sagas.admin.overview.dashboard",
    "SCRIPTS": [
        lambda request: static("sagas/live.js"),
        lambda request: static("sagas/copy.js"),
    ],
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {
                        "title": _("Sagas"),
                        "icon": "swap_calls",
                        "link": reverse_lazy("admin:sagas_saga_changelist"),
                        "active": "sagas.admin.links.among_sagas",
                        "permission": lambda request: request.user.has_perm("sagas.view_saga"),
                    },
                    {
                        "title": _("Bulk operations"),
                        "icon": "checklist",
                        "link": reverse_lazy("admin:sagas_bulk_index"),
                        "permission": lambda request: request.user.has_perm("sagas.view_saga"),
                    },
                    {
                        "title": _("Approvals"),
                        "icon": "how_to_reg",
                        "link": reverse_lazy("admin:sagas_approval_index"),
                        "permission": lambda request: request.user.has_perm("sagas.view_saga"),
                    },
                    {
                        "title": _("Who did what"),
                        "icon": "manage_search",
                        "link": reverse_lazy("admin:sagas_audit"),
                        "permission": lambda request: request.user.has_perm("sagas.view_saga"),
                    },
                    {
                        "title": _("Users"),
                        "icon": "person",
                        "link": reverse_lazy("admin:auth_user_changelist"),
                        "permission": lambda request: request.user.has_perm("auth.view_user"),
                    },
                    {
                        "title": _("Groups"),
                        "icon": "group",
                        "link": reverse_lazy("admin:auth_group_changelist"),
                        "permission": lambda request: request.user.has_perm("auth.view_group"),
                    },
                    {
                        "title": _("API keys"),
                        "icon": "key",
                        "link": reverse_lazy("api-keys"),
                        "permission": lambda request: request.user.has_perm(
                            "sagas.manage_api_keys"
                        ),
                    },
                    {"title": _("API docs"), "icon": "api", "link": reverse_lazy("api-docs")},
                ]
            }
        ]
    },
}
