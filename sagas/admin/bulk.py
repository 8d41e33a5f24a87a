"""Bulk operations in the console: asked for from the list, previewed, confirmed, followed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from sagas import services
from sagas.admin.forms import ReasonForm
from sagas.admin.operations import TASKS, actor
from sagas.admin.refusals import refusal
from sagas.admin.words import Look, status_look
from sagas.domain.state import ENDED, Operation, SagaStatus
from sagas.models import BulkItem, BulkOperation, Saga

_RESULTS = {
    "": Look(gettext_lazy("waits"), "hourglass_empty"),
    "accepted": Look(pgettext_lazy("saga", "accepted"), "check", "success"),
    "refused": Look(gettext_lazy("refused, nothing done"), "block", "danger"),
}
_PER_PAGE = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a bulk operation is, and what became of its sagas."""

    total: int
    previewed: int
    refused: int
    accepted: int
    statuses: Counter[str]
    """The accepted sagas by their status now; those that were purged since are not in it."""

    otherwise: int
    """The accepted sagas that ended, but not as was foreseen, nor failed."""

    @property
    def failed(self) -> int:
        return self.statuses[SagaStatus.FAILED.value]

    @property
    def moving(self) -> int:
        return sum(count for status, count in self.statuses.items() if status not in ENDED)


def progress(bulk: BulkOperation) -> Progress:
    """By its items, and by its sagas as they stand now."""
    results = dict(bulk.items.values_list("result").annotate(n=Count("pk")).order_by())
    accepted = bulk.items.filter(result="accepted")
    statuses: Counter[str] = Counter()
    otherwise = 0
    for ends in accepted.order_by().values_list("ends", flat=True).distinct():
        ids = accepted.filter(ends=ends).values("saga_id")
        now = Saga.objects.filter(pk__in=ids).values_list("status").annotate(n=Count("pk"))
        counts = Counter(dict(now.order_by()))
        statuses += counts
        good = {ends, SagaStatus.FAILED.value}
        otherwise += sum(counts[status] for status in ENDED - good)
    return Progress(
        otherwise=otherwise,
        total=sum(results.values()),
        previewed=bulk.items.exclude(fingerprint="", result="").count(),
        refused=results.get("refused", 0),
        accepted=results.get("accepted", 0),
        statuses=statuses,
    )


def headline(bulk: BulkOperation, so_far: Progress) -> Look:
    """Where it stands; never "done" while some were refused or failed again."""
    words = {"done": so_far.accepted + so_far.refused, "total": so_far.total}
    if bulk.ended_at is None and bulk.previewed_at is None:
        words["done"] = so_far.previewed
        return Look(_("Previewing: %(done)d of %(total)d") % words, "preview", "info")
    if bulk.ended_at is None and bulk.confirmed_at is None:
        return Look(_("Previewed; it waits to be confirmed"), "front_hand", "warning")
    if bulk.ended_at is None:
        return Look(_("Running: %(done)d of %(total)d") % words, "autorenew", "info")
    problems = []
    if so_far.refused:
        text = ngettext("%(n)d refused", "%(n)d refused", so_far.refused)
        problems.append(text % {"n": so_far.refused})
    if so_far.failed:
        problems.append(_("%(n)d failed") % {"n": so_far.failed})
    if so_far.otherwise:
        text = _("%(n)d ended otherwise than previewed")
        problems.append(text % {"n": so_far.otherwise})
    if so_far.moving:
        problems.append(_("%(n)d still on their way") % {"n": so_far.moving})
    if so_far.refused or so_far.failed or so_far.otherwise:
        text = _("Not all went well: %(what)s") % {"what": ", ".join(problems)}
        return Look(text, "error", "danger")
    if so_far.moving:
        return Look(_("Accepted: %(what)s") % {"what": ", ".join(problems)}, "autorenew", "info")
    return Look(_("Done: all %(total)d") % words, "check_circle", "success")


def ask(request: HttpRequest, operation: Operation, sagas: QuerySet[Saga]) -> HttpResponse:
    """Have the operation previewed for the chosen sagas. For who may do it only."""
    ids = sagas.order_by("-pk").values_list("pk", flat=True)[: services.MOST_IN_BULK + 1]
    try:
        bulk = services.draft_bulk(operation, ids, actor=actor(request))
    except services.TooMany:
        text = _("Nothing was done: a bulk operation takes 1 to %(most)d sagas.")
        messages.error(request, text % {"most": services.MOST_IN_BULK})
        return redirect("admin:sagas_saga_changelist")
    return redirect("admin:sagas_bulk", bulk.pk)


def index(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The latest bulk operations."""
    latest = [(bulk, TASKS[bulk.operation], headline(bulk, progress(bulk))) for bulk in _latest()]
    context |= {"title": _("Bulk operations"), "latest": latest}
    return TemplateResponse(request, "admin/sagas/bulk/index.html", context)


def page(
    request: HttpRequest, bulk_id: UUID, context: dict[str, Any], *, may: bool
) -> HttpResponse:
    """One bulk operation; with a confirmed reason it is done, if `may`."""
    bulk = BulkOperation.objects.filter(pk=bulk_id).first()
    if bulk is None:
        raise Http404
    mine = may and bulk.actor == actor(request)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and may and "stop" in request.POST:
        services.stop_bulk(bulk_id, why=_("stopped by %(who)s") % {"who": actor(request)})
        return redirect("admin:sagas_bulk", bulk_id)
    if request.method == "POST" and mine and form.is_valid():
        try:
            services.confirm_bulk(bulk_id, actor=bulk.actor, reason=form.cleaned_data["reason"])
        except services.NotConfirmable:
            messages.error(request, _("It cannot be confirmed now; nothing was done."))
        return redirect("admin:sagas_bulk", bulk_id)
    so_far = progress(bulk)
    shown, items = _items(bulk, request)
    context |= {
        "title": _("Bulk operation"),
        "bulk": bulk,
        "task": TASKS[bulk.operation],
        "look": headline(bulk, so_far),
        "progress": so_far,
        "rest": bulk.ended_at is not None and not so_far.moving,
        "statuses": [(status_look(s), n) for s, n in sorted(so_far.statuses.items())],
        "groups": _groups(bulk),
        "page": shown,
        "items": items,
        "form": form,
        "confirmable": mine and bulk.previewed_at and not (bulk.confirmed_at or bulk.ended_at),
        "stoppable": may and not bulk.ended_at,
    }
    live = "X-Live" in request.headers
    template = "admin/sagas/bulk/live.html" if live else "admin/sagas/bulk/page.html"
    response = TemplateResponse(request, template, context)
    if live and context["rest"]:
        response["X-Live-Stop"] = "1"
    return response


def _latest() -> list[BulkOperation]:
    return list(BulkOperation.objects.order_by("-pk")[:_PER_PAGE])


def _groups(bulk: BulkOperation) -> list[dict[str, Any]]:
    """Its sagas by what would be called, and by why nothing would be."""
    groups = bulk.items.exclude(fingerprint="", result="").values("plan", "result", "message")
    return [
        group
        | {
            "look": _RESULTS[group["result"]],
            "plan": _plan(group["plan"]),
            "message": refusal(group["message"]),
        }
        for group in groups.annotate(n=Count("pk")).order_by("-n")[:20]
    ]


def _plan(text: str) -> str:
    """A plan in short, with how the saga then ends in the reader's language."""
    calls, arrow, ends = text.rpartition(" → ")
    return f"{calls}{arrow}{status_look(ends).text}" if text else ""


def _items(bulk: BulkOperation, request: HttpRequest) -> tuple[Any, list[Any]]:
    """A page of its sagas; and each of them with its result and how it stands now."""
    items = bulk.items.order_by("pk")
    wanted = request.GET.get("result")
    if wanted in _RESULTS:
        items = items.filter(result=wanted)
    page = Paginator(items, _PER_PAGE).get_page(request.GET.get("page"))
    rows: list[BulkItem] = list(page.object_list)
    for row in rows:  # as they are read here, and never stored again
        row.plan, row.message = _plan(row.plan), refusal(row.message)
    now = dict(
        Saga.objects.filter(pk__in=[row.saga_id for row in rows]).values_list("pk", "status")
    )
    shown = [
        (row, _RESULTS[row.result], status_look(now[row.saga_id]) if row.saga_id in now else None)
        for row in rows
    ]
    return page, shown
