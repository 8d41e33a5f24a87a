"""The fault switches that are set at one participant."""

import threading
from dataclasses import asdict, dataclass

from shop.call import Call
from shop.fault import Fault


@dataclass(slots=True)
class _Switch:
    id: int
    fault: Fault
    struck: int = 0

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def show(self) -> dict[str, object]:
        fields = asdict(self.fault)
        return {"id": self.id, "fault": fields.pop("name"), **fields, "struck": self.struck}


class Switchboard:
    """Switches in memory; the oldest one that is not spent strikes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switches: list[_Switch] = []
        self._last_id = 0

    def add(self, fault: Fault) -> dict[str, object]:
        """Set one more switch, and show it."""
        with self._lock:
            self._last_id += 1
            self._switches.append(_Switch(self._last_id, fault))
            return self._switches[-1].show()

    def strike(self, call: Call) -> Fault | None:
        """Return the fault that this call meets, counted as struck."""
        if not self._switches:
            return None
        with self._lock:
            for switch in self._switches:
                if not switch.is_spent and switch.fault.strikes(call):
                    switch.struck += 1
                    return switch.fault
        return None

    def show(self) -> list[dict[str, object]]:
        """Show all switches, spent ones too, with how often each struck."""
        with self._lock:
            return [switch.show() for switch in self._switches]

    def clear(self) -> int:
        """Remove all switches, and tell how many there were."""
        with self._lock:
            count = len(self._switches)
            self._switches.clear()
            return count
