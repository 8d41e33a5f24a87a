"""Runs the tour: one saga after another, each shown live and then held against the ledgers."""

from __future__ import annotations

from datetime import UTC, datetime

from sagas.demo.accounts import accounts
from sagas.demo.audit import Finding, audit
from sagas.demo.client import Json, Orchestrator, Shop
from sagas.demo.live import Live, Story
from sagas.demo.report import Result, show_findings
from sagas.demo.screen import Screen
from sagas.demo.tour import TOUR, Chapter

_FINISHED = ("completed", "compensated")


class Guide:
    """Shows sagas and keeps what was found."""

    def __init__(self, orchestrator: Orchestrator, shop: Shop, screen: Screen) -> None:
        self.results: list[Result] = []
        self.sums: list[Finding] = []
        self._orchestrator = orchestrator
        self._shop = shop
        self._screen = screen
        self._live = Live(orchestrator, screen)

    def finish(self, unfinished: list[Json]) -> None:
        """Follow the sagas that an earlier demo left in progress to their end."""
        for left in unfinished:
            saga = self._orchestrator.saga(left["id"])
            title = f"A {saga['type'].replace('_saga', '')} that an earlier demo left in progress"
            self._title("·", title, saga)
            self._close("·", title, self._live.follow(saga, after=left["seq"]), _FINISHED)

    def tour(self, timeout: float) -> None:
        """Run all chapters, and hold what they did in all against the shop's sums."""
        before, since = self._shop.state(), self._last_change()
        for number, chapter in enumerate(TOUR, start=1):
            self._chapter(str(number), chapter, timeout)
        mine = {result.saga["id"]: result.saga for result in self.results if result.label != "·"}
        changed = self._orchestrator.last_changed(len(mine) + 1)
        if any(saga["id"] not in mine and _changed(saga) > since for saga in changed):
            return  # somebody else used the demo meanwhile, so the sums are not the tour's own
        self.sums = accounts(before, self._shop.state(), list(mine.values()))

    def _last_change(self) -> datetime:
        last = self._orchestrator.last_changed(1)
        return _changed(last[0]) if last else datetime.min.replace(tzinfo=UTC)

    def _chapter(self, label: str, chapter: Chapter, timeout: float) -> None:
        if chapter.takes_back is None:
            story = self._new(label, chapter, timeout)
        else:
            story = self._taken_back(label, chapter, self._result(chapter.takes_back).saga["id"])
        self._close(label, chapter.title, story, (chapter.expected,), chapter.effects)

    def _new(self, label: str, chapter: Chapter, timeout: float) -> Story:
        saga = self._orchestrator.create(*chapter.data(self._sale(chapter)))
        self._title(label, chapter.title, saga)
        if chapter.fault is not None:
            service, switch = chapter.fault(timeout)
            # Only in its first run: whoever retries the saga later sees it complete.
            self._shop.set_fault(service, switch | {"match": {"saga_id": saga["id"], "run": 1}})
        self._orchestrator.execute(saga["id"])
        return self._live.follow(saga)

    def _taken_back(self, label: str, chapter: Chapter, saga_id: str) -> Story:
        saga, events = self._orchestrator.saga(saga_id), self._orchestrator.events(saga_id)
        self._title(label, chapter.title, saga)
        if "compensate" not in saga["allowed_operations"]:
            return Story(saga, events, 0)  # it never completed, which its own chapter has told
        self._orchestrator.compensate(saga_id, "the customer changed their mind")
        return self._live.follow(saga, after=len(events))

    def _result(self, number: int) -> Result:
        return next(result for result in self.results if result.label == str(number))

    def _sale(self, chapter: Chapter) -> str | None:
        """The sale that is brought back; one that never came about is refused by the API."""
        if chapter.returns is None:
            return None
        steps = {step["name"]: step for step in self._result(chapter.returns).saga["steps"]}
        sale: str = (steps["create_sale"]["output"] or {}).get("sale_id", "none")
        return sale

    def _title(self, label: str, title: str, saga: Json) -> None:
        self._screen.line()
        self._screen.line(
            f"{self._screen.paint(f'{label:>2}', 'cyan')}  {self._screen.paint(title, 'bold')}"
        )
        self._screen.line(self._screen.paint(f"    {saga['type']} {saga['id']}", "dim"))

    def _close(
        self,
        label: str,
        title: str,
        story: Story,
        expected: tuple[str, ...],
        effects: int | None = None,
    ) -> None:
        entries = self._shop.ledger(story.saga["id"])
        findings = audit(story.saga, story.events, entries, expected, effects)
        show_findings(self._screen, findings)
        self.results.append(
            Result(
                label=label,
                title=title,
                saga=story.saga,
                took_ms=story.took_ms,
                findings=findings,
            )
        )


def _changed(saga: Json) -> datetime:
    return datetime.fromisoformat(saga["updated_at"])
