"""Approvals in the console: what one person proposed, for another to decide."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget

from sagas import services
from sagas.admin import plans
from sagas.admin.operations import TASKS, actor, url
from sagas.admin.sentences import standing
from sagas.admin.words import STATUSES, Look
from sagas.domain import triggers as tr
from sagas.domain.state import SagaStatus
from sagas.models import Proposal, Saga

DECISIONS = {
    "": Look(pgettext_lazy("proposal", "open"), "front_hand", "warning"),
    "approved": Look(gettext_lazy("approved"), "check_circle", "success"),
    "rejected": Look(gettext_lazy("rejected"), "block", "danger"),
    "withdrawn": Look(gettext_lazy("withdrawn"), "undo"),
    "outdated": Look(gettext_lazy("outdated: the saga had moved on"), "update"),
}
_SHOWN = 100


class DecisionForm(forms.Form):
    """What somebody says about a proposal."""

    comment = forms.CharField(
        label=gettext_lazy("Comment"),
        required=False,
        max_length=1000,
        help_text=gettext_lazy("Kept with the proposal and, once approved, in the saga's history."),
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
    )


def index(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The open proposals first, then the latest that were decided."""
    proposals = Proposal.objects.select_related("saga").defer("saga__data")
    open_ = list(proposals.filter(decision="").order_by("pk"))
    decided = list(proposals.exclude(decision="").order_by("-pk")[:_SHOWN])
    context |= {
        "title": _("Approvals"),
        "proposals": [
            (each, TASKS[each.operation], DECISIONS[each.decision]) for each in (*open_, *decided)
        ],
    }
    return TemplateResponse(request, "admin/sagas/approvals/index.html", context)


def open_for(saga: Saga) -> str:
    """The address of the saga's open proposal; empty if there is none. One query at most."""
    if saga.status != SagaStatus.COMPLETED.value:
        return ""  # what is not completed needs nobody's approval
    proposal = Proposal.objects.filter(saga_id=saga.pk, decision="").first()
    return reverse("admin:sagas_approval", args=[proposal.pk]) if proposal else ""


def page(
    request: HttpRequest, proposal_id: int, context: dict[str, Any], *, may: bool
) -> HttpResponse:
    """One proposal with its plan; another person than its author decides, if `may`."""
    proposal = Proposal.objects.filter(pk=proposal_id).first()
    if proposal is None:
        raise Http404
    by = actor(request)
    mine = proposal.proposed_by == by
    form = DecisionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and (mine or may) and form.is_valid():
        return _decide(request, proposal, form.cleaned_data["comment"])
    saga = services.get_saga(proposal.saga_id)
    plan, outdated = None, False
    if not proposal.decision:
        try:
            plan = services.preview(saga.id, tr.Compensate())
        except services.NotAllowed:
            outdated = True
        else:
            outdated = plan.fingerprint != proposal.fingerprint
    context |= {
        "title": _("Approval"),
        "subtitle": str(saga),
        "saga": saga,
        "saga_look": STATUSES[saga.status],
        "standing": standing(saga, timezone.now()),
        "back": url(saga),
        "proposal": proposal,
        "task": TASKS[proposal.operation],
        "look": DECISIONS["outdated" if outdated else proposal.decision],
        "plan": plans.shown(plan, saga) if plan and not outdated else None,
        "form": form,
        "mine": mine,
        "may_approve": may and not mine and not proposal.decision and not outdated,
        "may_reject": (may or mine) and not proposal.decision,
    }
    return TemplateResponse(request, "admin/sagas/approvals/page.html", context)


def _decide(request: HttpRequest, proposal: Proposal, comment: str) -> HttpResponse:
    by = actor(request)
    try:
        if request.POST.get("decision") == "approve":
            services.approve(proposal.pk, actor=by, comment=comment)
            messages.success(request, _("Approved: the saga compensates now."))
            return redirect("admin:sagas_saga_change", proposal.saga_id)
        services.reject(proposal.pk, actor=by, comment=comment)
        messages.success(request, _("The proposal is closed; nothing was done to the saga."))
    except services.SamePerson:
        messages.error(request, _("Another person has to approve what you proposed."))
    except services.Decided as error:
        words = {"decision": DECISIONS[error.decision].text}
        messages.error(request, _("It was decided before: %(decision)s.") % words)
    except (services.MovedOn, services.NotAllowed):
        text = _("Nothing was done: the saga moved on since it was proposed. Propose it again.")
        messages.error(request, text)
    return redirect("admin:sagas_approval", proposal.pk)
