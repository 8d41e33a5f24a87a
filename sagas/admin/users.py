"""Users and groups in the console's dress."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sagas.admin.wary import Wary

admin.site.unregister(User)
admin.site.unregister(Group)


_USUAL = {
    "add": gettext_lazy("Can add %(what)s"),
    "change": gettext_lazy("Can change %(what)s"),
    "delete": gettext_lazy("Can delete %(what)s"),
    "view": gettext_lazy("Can view %(what)s"),
}
"""What Django lets be permitted for every model."""

_MODELS = {gettext_noop("saga"), gettext_noop("saga step"), gettext_noop("saga event")}
"""Our models that these are for."""


def permission_label(permission: Permission) -> str:
    """What the permission is for, in the reader's language; the database has it in English."""
    kind = permission.content_type
    name = _(kind.name) if kind.name in _MODELS else kind.name
    usual = _USUAL.get(permission.codename.removesuffix(f"_{kind.model}"))
    text = usual % {"what": name} if usual else _(permission.name)
    return f"{str(kind).partition(' | ')[0]} | {text}"


class PermissionsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """A choice of permissions, each with what it is for."""

    def label_from_instance(self, obj: Any) -> str:
        return permission_label(obj)


class Permitting:
    """Has permissions chosen by what they are for; a mixin for a ModelAdmin."""

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.related_model is Permission:
            kwargs["form_class"] = PermissionsField
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


# The stubs of Django and the annotations of unfold disagree about what both of them inherit.


@admin.register(User)
class UserAdmin(Permitting, Wary, BaseUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Users, with unfold's forms."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(Permitting, Wary, BaseGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups: named sets of permissions."""
