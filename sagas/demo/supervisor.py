"""The demo's main process: starts the others, runs the tour as a client, and stays up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import requests
from django.conf import settings

from sagas.demo.children import Child, Children
from sagas.demo.client import Json, Orchestrator, Shop
from sagas.demo.environment import embedded, to_verify
from sagas.demo.folder import StateFolder, state_folder
from sagas.demo.guide import Guide
from sagas.demo.ports import HOST, Port, require_free
from sagas.demo.report import LOGIN, show_addresses, show_summary
from sagas.demo.screen import Screen
from sagas.demo.stop import DemoError, Stopped, stopping_on_signals

PIPE = "--exit-with-parent-pipe"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a person asked for."""

    root: Path
    """The folder of the code."""

    state: Path
    port: Port
    shop_ports: Mapping[str, Port]
    fresh: bool = False
    exit: bool = False


def run(options: Options, out: TextIO, environ: Mapping[str, str]) -> int:
    """Run the demo, and return the exit status. Raises DemoError."""
    with closing(Screen(out, environ)) as screen:
        demo = Demo(options, screen, environ)
        try:
            status = demo.run()
        except Stopped as stopped:
            status = stopped.status if demo.good is None else int(not demo.good)
        except BrokenPipeError:
            return 1
        except (OSError, requests.RequestException) as error:
            raise DemoError(str(error)) from error
        with suppress(OSError):
            screen.line("Stopped.")
        return status


class Demo:
    """One run of the demo."""

    def __init__(self, options: Options, screen: Screen, environ: Mapping[str, str]) -> None:
        self.good: bool | None = None
        """Whether every saga ended as it should; None until that is known."""

        self._options = options
        self._screen = screen
        self._environ = environ
        self._children = Children()

    def run(self) -> int:
        """From the first check to the last line."""
        options = self._options
        with ExitStack() as opened:
            opened.enter_context(stopping_on_signals(self._children.kill))
            folder = opened.enter_context(state_folder(options.state))
            self._screen.passing("starting …")
            require_free([options.port, *options.shop_ports.values()])
            if options.fresh:
                folder.empty()
            opened.callback(self._stop)
            self._show(folder)
        return int(not self.good)

    def _show(self, folder: StateFolder) -> None:
        urls = self._start_shop(folder)
        password = folder.password()
        environ = embedded(self._environ, state=str(folder.path), urls=urls, password=password)
        ready = self._start_orchestrator(folder, environ)
        orchestrator = Orchestrator(ready["url"])
        orchestrator.health()
        self._introduce(folder, ready, urls)
        guide = Guide(orchestrator, Shop(urls), self._screen)
        try:
            self._resume(guide, ready["unfinished"])
            guide.tour(ready["numbers"]["call_timeout"])
        except requests.RequestException:
            self._children.explain()
            raise
        self.good = show_summary(self._screen, guide.results, guide.sums)
        if not self._options.exit:
            state, known = _short(folder.path, self._options.root), settings.SAGA_PARTICIPANTS
            command = to_verify(environ, state=state, urls=urls, known=known)
            show_addresses(self._screen, ready["url"], urls, password, command)
            self._screen.line("Running until Ctrl-C.")
            self._children.watch()

    def _start_shop(self, folder: StateFolder) -> dict[str, str]:
        """The participants' addresses."""
        ports = self._options.shop_ports
        arguments = ["-m", "shop", "--state", str(folder.shop), "--host", HOST, PIPE]
        for name, port in ports.items():
            arguments += [f"--{name}-port", str(port.number)]
        shop = self._start("shop", arguments, folder, self._environ)
        return dict(shop.readline().split() for _ in ports)

    def _start_orchestrator(self, folder: StateFolder, environ: Mapping[str, str]) -> Json:
        """What it says when it is ready."""
        arguments = ["manage.py", "serve_embedded", "--host", HOST, PIPE, "--login", LOGIN]
        arguments += ["--port", str(self._options.port.number)]
        line = self._start("orchestrator", arguments, folder, environ).readline()
        ready: Json = json.loads(line)
        return ready

    def _start(
        self, name: str, arguments: list[str], folder: StateFolder, environ: Mapping[str, str]
    ) -> Child:
        root = self._options.root
        child = Child(name, arguments, folder=folder, root=root, environ=environ)
        return self._children.add(child)

    def _introduce(self, folder: StateFolder, ready: Json, urls: Mapping[str, str]) -> None:
        line, numbers = self._screen.line, ready["numbers"]
        line(self._screen.paint("Saga orchestrator: the demo", "bold"))
        line()
        rows = {"orchestrator": ready["url"], **urls, "state": _short(folder.path, Path.cwd())}
        rows["numbers"] = _numbers(numbers)
        for name, value in rows.items():
            line(f"  {self._screen.paint(f'{name:<14}', 'dim')}{value}")

    def _resume(self, guide: Guide, unfinished: list[Json]) -> None:
        if unfinished:
            count = len(unfinished)
            were = "1 saga was" if count == 1 else f"{count} sagas were"
            them = "it" if count == 1 else "them"
            text = f"{were} in progress when the demo stopped; going on with {them}."
            self._screen.line()
            self._screen.line(self._screen.paint(text, "bold", "yellow"))
            hint = "The shop's fault switches are off again, so what was to fail may now complete."
            self._screen.line(self._screen.paint(hint, "dim"))
        guide.finish(unfinished)

    def _stop(self) -> None:
        with suppress(OSError):  # the terminal itself may be gone
            self._screen.passing("stopping …")
        self._children.stop()


def _short(path: Path, here: Path) -> str:
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _numbers(numbers: Json) -> str:
    def ms(name: str) -> str:
        return f"{numbers[name] * 1000:g} ms"

    return (
        f"{numbers['max_retries']} retries after {ms('retry_delay')} ×{numbers['multiplier']:g}, "
        f"call time-out {ms('call_timeout')}, lease {ms('lease')}, sweep {ms('sweep_interval')}"
    )
