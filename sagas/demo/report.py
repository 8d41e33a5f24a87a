"""What the demo says when its sagas are done."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagas.demo.audit import Finding
from sagas.demo.client import API, HEALTH, Json
from sagas.demo.screen import WIDTH, Screen, printable

LOGIN = "demo"

_FINDING = 23
"""Columns before a finding's text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How one saga ended, and what the ledgers say to that."""

    label: str
    title: str
    saga: Json
    took_ms: float
    findings: list[Finding]

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return all(finding.good for finding in self.findings)


def show_findings(screen: Screen, findings: Iterable[Finding]) -> None:
    """A line for each, behind a tick or a cross."""
    for finding in findings:
        style = ("green",) if finding.good else ("red", "bold")
        mark = screen.paint("✓" if finding.good else "✗", *style)
        head = f"{'':<12}{mark} {finding.subject:<9}"
        for part in textwrap.wrap(printable(finding.text), WIDTH - _FINDING):
            screen.line(head + (part if finding.good else screen.paint(part, *style)))
            head = " " * _FINDING


def show_summary(screen: Screen, results: list[Result], sums: list[Finding]) -> bool:
    """All sagas in a table; whether everything was as it should be."""
    screen.line()
    screen.line(screen.paint("─" * WIDTH, "dim"))
    screen.line(screen.paint("In all", "bold"))
    screen.line()
    for result in results:
        style = "green" if result.good else "red"
        mark = screen.paint("✓" if result.good else "✗", style)
        status = screen.paint(f"{result.saga['status']:<12}", style)
        title = result.title.partition(":")[0]
        screen.line(f"  {mark} {result.label:>2}  {title:<70.70} {status}{result.took_ms:>6.0f} ms")
    screen.line()
    if sums:
        show_findings(screen, sums)
    else:
        others = "Other sagas ran meanwhile, so the shop's sums are not held against these."
        screen.line(screen.paint(f"{'':<12}{others}", "dim"))
    good = all(result.good for result in results) and all(finding.good for finding in sums)
    screen.line()
    screen.line(_verdict(screen, results, good))
    return good


def _verdict(screen: Screen, results: list[Result], good: bool) -> str:
    if good:
        text = f"All {len(results)} sagas ended as they should, and the shop's ledgers agree."
        return screen.paint(text, "bold", "green")
    wrong = sum(not result.good for result in results)
    text = f"{wrong} of {len(results)} sagas did not end as they should; see the crosses above."
    if not wrong:
        text = "The shop's sums are not what the sagas imply; see the crosses above."
    return screen.paint(text, "bold", "red")


def show_addresses(
    screen: Screen, url: str, shop: Mapping[str, str], password: str, to_verify: Iterable[str]
) -> None:
    """Where everything is, and something to try."""
    prefix = f"{url}/saga-orchestrator"
    rows = {
        "API": f"{url}{API}",
        "API docs": f"{prefix}/api-docs",
        "Admin": f"{prefix}/admin/   login {LOGIN}, password {password}",
        "Health": f"{url}{HEALTH}",
        "Metrics": f"{url}/saga/metrics",
    }
    screen.line()
    for name, value in rows.items():
        screen.line(f"  {screen.paint(f'{name:<10}', 'bold')}{value}")
    for number, (name, address) in enumerate(shop.items()):
        head = screen.paint(f"{'' if number else 'Ledgers':<10}", "bold")
        screen.line(f"  {head}{address}/ledger   of the shop's {name}")
    screen.line()
    screen.line("  The demo's API is open: it asks for no API key. A real service's is closed.")
    screen.line()
    screen.line("  Try, in another terminal:")
    screen.line()
    for line in (*_commands(url), "", *to_verify):
        screen.line(f"    {screen.paint(line, 'cyan')}")
    screen.line()


def _commands(url: str) -> list[str]:
    """Two of the documented commands, as they are written there but for line breaks."""
    local = url.replace("127.0.0.1", "localhost")
    return [
        f"curl -X POST {local}{API} \\",
        '  -H "Content-Type: application/json" \\',
        '  -d \'{"type": "purchase_saga", "execute": true, "data": {"store_id": 1,',
        '       "customer_id": 123, "payment_method": "credit_card", "amount": 59.98,',
        '       "items": [{"product_id": 456, "quantity": 2, "price": 29.99}]}}\'',
        "",
        f"curl -X GET {local}{API}",
    ]
