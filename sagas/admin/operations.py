"""The operations in the console: who may, what they will call, a reason, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sagas import services
from sagas.admin import forms, plans
from sagas.admin.refusals import in_a_line, refusal
from sagas.admin.sentences import standing
from sagas.admin.words import OPERATIONS, STATUSES, Look
from sagas.domain.state import Operation
from sagas.models import Saga
from sagas.preview import Plan

User = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Something that a person may do with a saga; its name is that of the permission, too."""

    name: str
    look: Look
    form: type[forms.OperationForm]
    about: Any
    """What it does, in a sentence."""

    @property
    def view(self) -> str:
        """The name of its page."""
        return f"admin:sagas_saga_{self.name}"


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="execute",
            look=OPERATIONS[Operation.EXECUTE],
            form=forms.ExecuteForm,
            about=gettext_lazy("Starts the saga with its first step."),
        ),
        Task(
            name="retry",
            look=OPERATIONS[Operation.RETRY],
            form=forms.RetryForm,
            about=gettext_lazy(
                "A failed saga goes on where it stopped, with its attempts counted anew; a"
                " compensated one starts again as a new run with fresh idempotency keys."
            ),
        ),
        Task(
            name="compensate",
            look=OPERATIONS[Operation.COMPENSATE],
            form=forms.CompensateForm,
            about=gettext_lazy(
                "Takes back what took effect or is in doubt, the last step first. A call in"
                " flight is finished first, and no new action starts."
            ),
        ),
        Task(
            name="resolve",
            look=Look(gettext_lazy("Resolve the doubt"), "fact_check", "primary"),
            form=forms.ResolveForm,
            about=gettext_lazy(
                "Records whether a step in doubt took effect. What took effect counts as done"
                " or will be taken back; what did not may be called again."
            ),
        ),
        Task(
            name="skip",
            look=Look(gettext_lazy("Skip the step"), "skip_next", "danger"),
            form=forms.SkipForm,
            about=gettext_lazy(
                "The call at which the saga is stuck is not made: you saw to it by hand, or it"
                " is not needed. Nothing will be taken back for it later."
            ),
        ),
        Task(
            name="edit_data",
            look=Look(gettext_lazy("Edit the data"), "edit_note", "plain"),
            form=forms.EditForm,
            about=gettext_lazy("Changes the saga's data for the calls that are yet to be built."),
        ),
    )
}


_MOVED = gettext_lazy(
    "Nothing was done: the saga moved on since your preview, or you changed something."
    " This is what would be called now."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """The way to the page of an operation."""

    look: Look
    url: str


def may(user: User, permission: str) -> bool:
    """Whether the user has this permission on sagas."""
    return isinstance(user, PermissionsMixin) and user.has_perm(f"sagas.{permission}")


def actor(request: HttpRequest) -> str:
    """The user as histories name them."""
    return f"user:{request.user.get_username()}"


def possible(saga: Saga) -> list[str]:
    """The tasks that the saga allows now."""
    mendable = services.mendable(saga)
    allowed = {*services.allowed(saga)}
    allowed |= {"resolve"} if mendable.doubts else set()
    allowed |= {"skip"} if mendable.skip else set()
    allowed |= {"edit_data"} if mendable.edit else set()
    return [name for name in TASKS if name in allowed]


def buttons(user: User, saga: Saga) -> list[Button]:
    """The operations that are possible on the saga now, and allowed to this user."""
    return [
        Button(look=TASKS[name].look, url=url(saga, name))
        for name in possible(saga)
        if may(user, name)
    ]


def page(request: HttpRequest, saga: Saga, task: Task, context: dict[str, Any]) -> HttpResponse:
    """The page of an operation: its form, its preview, and once confirmed the operation.

    For who may do it only.
    """
    posted = request.method == "POST"
    confirming = posted and "fingerprint" in request.POST and "preview" not in request.POST
    form = task.form(
        saga,
        request.POST if posted else None,
        may_retry=may(request.user, "retry"),
        confirming=confirming,
    )
    plan, moved = None, False
    try:
        try:
            if confirming and task.name in possible(saga) and form.is_valid():
                return _perform(request, saga, task, form)
        except services.MovedOn:
            moved, saga = True, services.get_saga(saga.id)
        plan = _planned(saga, task, form)
        if moved:
            form.add_error(None, _MOVED)
    except services.InvalidData as error:
        form.add_error(None, _("It does not fit: %(errors)s") % {"errors": in_a_line(error.errors)})
    except services.NotAllowed as refused:
        return _refuse(request, saga, task, refusal(str(refused)))
    form.fields["reason"].required = True  # from now on, also for the browser
    context |= {
        "title": task.look.text,
        "subtitle": str(saga),
        "saga": saga,
        "task": task,
        "form": form,
        "plan": plan and plans.shown(plan, saga),
        "proposes": _proposes(saga, task),
        "look": STATUSES[saga.status],
        "standing": standing(saga, timezone.now()),
        "back": url(saga),
    }
    template = "admin/sagas/saga/operation.html"
    return TemplateResponse(request, template, context, status=409 if moved else 200)


def _planned(saga: Saga, task: Task, form: forms.OperationForm) -> Plan | None:
    """What would be called, once all but the reason is there. Raises NotAllowed, InvalidData."""
    plan = None
    if not form.asks or (form.is_bound and {*form.errors} <= {"reason"}):
        form.cleaned_data = getattr(form, "cleaned_data", {})
        plan = services.preview(saga.id, *form.triggers())
    if task.name not in possible(saga):
        raise services.NotAllowed("", saga.status, services.allowed(saga))
    return plan


def _proposes(saga: Saga, task: Task) -> bool:
    """Whether another person has to approve it."""
    return task.name in list(Operation) and services.needs_approval(
        saga.status, Operation(task.name)
    )


def _perform(
    request: HttpRequest, saga: Saga, task: Task, form: forms.OperationForm
) -> HttpResponse:
    by, reason = actor(request), form.cleaned_data["reason"]
    fingerprint = request.POST["fingerprint"] or "-"
    words: dict[str, Any] = {"operation": task.look.text}
    if _proposes(saga, task):
        try:
            proposal = services.propose(saga.id, actor=by, reason=reason, fingerprint=fingerprint)
        except services.AlreadyProposed:
            messages.error(request, _("There is an open proposal for this saga already."))
            return redirect(url(saga))
        messages.success(request, _("Proposed. Another person has to approve it."))
        return redirect("admin:sagas_approval", proposal.pk)
    after = services.perform(
        saga.id, *form.triggers(), actor=by, reason=reason, fingerprint=fingerprint
    )
    words["status"] = STATUSES[after.status].text
    messages.success(request, _("%(operation)s: accepted. The saga is %(status)s now.") % words)
    return redirect(url(saga))


def _refuse(request: HttpRequest, saga: Saga, task: Task, why: str = "") -> HttpResponse:
    saga = services.get_saga(saga.id)
    text = _("%(operation)s is not possible now. The saga is %(status)s; nothing changed.")
    if why:
        text = _(
            "%(operation)s is not possible now: %(why)s. The saga is %(status)s; nothing changed."
        )
    text %= {"operation": task.look.text, "why": why, "status": STATUSES[saga.status].text}
    names = ", ".join(str(TASKS[name].look.text) for name in possible(saga))
    if names:
        text += " " + _("Possible now: %(names)s.") % {"names": names}
    messages.error(request, text)
    return redirect(url(saga))


def url(saga: Saga, view: str = "change") -> str:
    """The address of a saga's page, or of one of its operations."""
    return reverse(f"admin:sagas_saga_{view}", args=[saga.pk])
