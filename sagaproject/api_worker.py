"""The gunicorn worker of the API: told to stop, it lets nobody wait for a saga's end."""

from __future__ import annotations

from types import FrameType

from sagaproject.draining import DrainingWorker


class ApiWorker(DrainingWorker):
    """Gunicorn's own, which answers requests in flight before it ends, and those soon."""

    def finish(self, number: int, frame: FrameType | None) -> None:
        """Begin to end: clients with `Prefer: wait` get the saga as it is."""
        from sagas import services  # after the fork, and after Django's start

        services.stop_waiting()
        super().finish(number, frame)
