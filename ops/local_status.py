"""How the local runtime's services are: what supervisord says, and what they say themselves."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ops import orphans, probes
from ops.local_layout import Layout, service_of
from ops.runtime import ServiceStatus, State
from ops.services import SERVICES, Service
from ops.supervisor import ProcessInfo, Supervisor

WORST_FIRST: tuple[State, ...] = ("unhealthy", "starting", "healthy")


class LocalStatus:
    """Looks; changes nothing."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def processes(self) -> dict[str, ProcessInfo]:
        """What supervisord runs; nothing where there is none."""
        supervisor = Supervisor(self._layout.socket)
        return supervisor.processes() if supervisor.pid() is not None else {}

    def replicas(self) -> dict[str, int]:
        """How many of each scalable service run; none named where nothing runs."""
        found: dict[str, int] = {}
        for name, info in self.processes().items():
            if SERVICES[service_of(name)].scalable and info.wanted:
                found[service_of(name)] = found.get(service_of(name), 0) + 1
        return found

    def services(self) -> list[ServiceStatus]:
        """All services, in the table's order."""
        processes = self.processes()
        astray = {} if processes else {found.name: found.pid for found in orphans.find(self._layout.run)}
        with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
            return list(pool.map(lambda one: self._service(one, processes, astray), SERVICES.values()))

    def _service(
        self, service: Service, processes: Mapping[str, ProcessInfo], astray: Mapping[str, int]
    ) -> ServiceStatus:
        url = self._layout.project.url(service.port_variable) if service.module else None
        left = [pid for name, pid in astray.items() if service_of(name) == service.name]
        if left:
            detail = "runs without its supervisor: ./manage.py start"
            return ServiceStatus(service.name, "unhealthy", url, left, detail)
        own = {name: info for name, info in processes.items() if service_of(name) == service.name}
        found = [self._process(service, name, info) for name, info in own.items() if info.wanted]
        if not found:
            return ServiceStatus(service.name, "stopped")
        state, detail = min(found, key=lambda one: WORST_FIRST.index(one[0]))
        return ServiceStatus(service.name, state, url, [i.pid for i in own.values() if i.pid], detail)

    def _process(self, service: Service, name: str, info: ProcessInfo) -> tuple[State, str]:
        if info.state == "BACKOFF":
            return "unhealthy", f"ends again and again: ./manage.py logs --service {service.name}"
        replica = int(name.rsplit("-", 1)[1]) if service.scalable else 0
        return probes.probe(self._layout.project, service, replica)
