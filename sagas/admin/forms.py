"""The forms of the operations: what is asked beside a reason."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from executors.secrets import hiding
from sagas import services
from sagas.admin.hidden import with_hidden
from sagas.domain import strictjson
from sagas.domain import triggers as tr
from sagas.domain.state import CallKind
from sagas.models import Saga

Triggers = tuple[tr.Trigger, ...]


class JSONText(forms.CharField):
    """A JSON object as text; None when it is left empty."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            found = strictjson.loads(text.encode())
        except (ValueError, UnicodeEncodeError) as error:
            raise forms.ValidationError(_("Not usable JSON: %(why)s.") % {"why": error}) from error
        if not isinstance(found, dict):
            raise forms.ValidationError(_("It is not a JSON object."))
        return found


def _area(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget({"rows": rows, "spellcheck": "false"})


class ReasonForm(forms.Form):
    """Why somebody wants what is no single saga's."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=900,
        help_text=gettext_lazy("Kept for good, with your name."),
        widget=_area(3),
    )


class OperationForm(forms.Form):
    """What every operation asks for; the history keeps it."""

    def __init__(self, saga: Saga, data: Any = None, *, may_retry: bool, confirming: bool) -> None:
        super().__init__(data)
        self.saga = saga
        self.fields["reason"] = forms.CharField(
            label=gettext_lazy("Reason"),
            max_length=1000,
            required=confirming,
            help_text=gettext_lazy("Kept for good in the saga's history, with your name."),
            widget=_area(3),
        )
        if self.asks and may_retry and saga.ended_at is not None:
            self.fields["retry"] = forms.BooleanField(
                label=gettext_lazy("Then retry the saga at once"),
                required=False,
                initial=True,
                widget=UnfoldBooleanWidget(),
            )
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    @property
    def asks(self) -> bool:
        """Whether there is anything to fill in before the preview."""
        return False

    def triggers(self) -> Triggers:
        """What is asked for, once the form is valid. Raises InvalidData."""
        first = self.first_trigger()
        return (first, tr.Retry()) if self.cleaned_data.get("retry") else (first,)

    def first_trigger(self) -> tr.Trigger:
        """The operation itself. Raises InvalidData."""
        raise NotImplementedError


class ExecuteForm(OperationForm):
    """Execute."""

    def first_trigger(self) -> tr.Trigger:
        return tr.Execute()


class CompensateForm(OperationForm):
    """Compensate."""

    def first_trigger(self) -> tr.Trigger:
        return tr.Compensate(reason=self.cleaned_data.get("reason", ""))


class RetryForm(OperationForm):
    """Retry."""

    def first_trigger(self) -> tr.Trigger:
        return tr.Retry()


class MendingForm(OperationForm):
    """Operations that need to be told something."""

    @property
    def asks(self) -> bool:
        return True


class ResolveForm(MendingForm):
    """Whether a step in doubt took effect, and how that is known."""

    step = forms.ChoiceField(label=gettext_lazy("Step"), widget=UnfoldAdminSelectWidget())
    applied = forms.ChoiceField(
        label=gettext_lazy("What became of it"),
        choices=[
            ("yes", gettext_lazy("It took effect at the participant")),
            ("no", gettext_lazy("It took no effect, and will not any more")),
        ],
        widget=UnfoldAdminRadioSelectWidget(),
    )
    evidence = forms.CharField(
        label=gettext_lazy("Evidence"),
        max_length=2000,
        help_text=gettext_lazy("How you know: what the participant's records show, and where."),
        widget=_area(3),
    )
    output = JSONText(
        label=gettext_lazy("Output"),
        required=False,
        max_length=100_000,
        help_text=gettext_lazy(
            "If it took effect: what the participant would have answered, as JSON. Later steps and"
            " compensations read it."
        ),
        widget=_area(4),
    )

    def __init__(self, saga: Saga, *args: Any, **kwargs: Any) -> None:
        super().__init__(saga, *args, **kwargs)
        doubts = services.mendable(saga).doubts
        field = self.fields["step"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name) for name in doubts]
        if doubts:
            _hint(self.fields["output"], saga, doubts[0])

    def first_trigger(self) -> tr.Trigger:
        told = self.cleaned_data
        return services.resolution(
            self.saga,
            told["step"],
            applied=told["applied"] == "yes",
            evidence=told["evidence"],
            output=told["output"],
        )


class SkipForm(MendingForm):
    """The step at which the saga is stuck."""

    output = JSONText(
        label=gettext_lazy("Output"),
        required=False,
        max_length=100_000,
        help_text=gettext_lazy("What later steps are to read as its answer, as JSON."),
        widget=_area(4),
    )

    def __init__(self, saga: Saga, *args: Any, **kwargs: Any) -> None:
        super().__init__(saga, *args, **kwargs)
        self.call = services.mendable(saga).skip
        if self.call is None or self.call.kind is CallKind.COMPENSATION:
            del self.fields["output"]
        else:
            _hint(self.fields["output"], saga, self.call.step)

    def first_trigger(self) -> tr.Trigger:
        step = self.call.step if self.call else ""
        return services.skipping(self.saga, step, self.cleaned_data.get("output"))


class EditForm(MendingForm):
    """The saga's data; what is hidden stays as it was unless it is written anew."""

    edited = JSONText(
        label=gettext_lazy("Data"),
        max_length=1_000_000,
        help_text=gettext_lazy(
            "Calls that are yet to be built see it, compensations too. Calls that were made are"
            " repeated as they were, except an action that was refused: it gets a new call with"
            " a key of its own. What shows as ••• stays as it is."
        ),
        widget=_area(16),
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput())
    """How often the data had been edited when it was shown."""

    def __init__(self, saga: Saga, *args: Any, **kwargs: Any) -> None:
        super().__init__(saga, *args, **kwargs)
        self.shown = hiding(saga).document(saga.data)
        self.fields["edited"].initial = json.dumps(self.shown, indent=2, ensure_ascii=False)
        self.fields["seen"].initial = services.edits(saga)

    def clean_seen(self) -> int | None:
        """Refuse what was written over data that another person has edited since."""
        seen: int | None = self.cleaned_data["seen"]
        if seen is not None and seen != self.fields["seen"].initial:
            text = _("Somebody edited the data after it was shown to you. Open this page anew.")
            self.add_error(None, text)
        return seen

    def first_trigger(self) -> tr.Trigger:
        kept = with_hidden(self.cleaned_data["edited"], self.shown, self.saga.data)
        return services.editing(self.saga, kept)


def _hint(field: forms.Field, saga: Saga, step: str) -> None:
    """Show which fields an output of the step has."""
    names = services.output_fields(saga, step)
    if names:
        shape = json.dumps(dict.fromkeys(names, "…"), ensure_ascii=False)
        field.widget.attrs["placeholder"] = shape
