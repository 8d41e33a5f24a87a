"""Users and groups in the console's dress."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sagas.admin.wary import Wary

admin.site.unregister(User)
admin.site.unregister(Group)


# The stubs of Django and the annotations of unfold disagree about what both of them inherit.


@admin.register(User)
class UserAdmin(Wary, BaseUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Users, with unfold's forms."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(Wary, BaseGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups: named sets of permissions."""
