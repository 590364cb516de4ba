"""Requests to this machine and to the suite's own services bypass the environment's proxy.

The proxy is for the outside world. An HTTP client that obeys it (those of the models do) would ask it for
`127.0.0.1`, which is the proxy's own machine there.
"""

import os
from collections.abc import MutableMapping

OWN_HOSTS = (
    *("localhost", "127.0.0.1", "::1", "host.docker.internal"),
    *("rest_service", "google_calendar_service", "sandbox"),
)
"""The last ones are the services' names in Docker's network."""


def bypass_proxies(environment: MutableMapping[str, str] = os.environ) -> None:
    """Add the suite's hosts to those that the environment's proxies are not for."""
    former = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in former.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in OWN_HOSTS if host not in hosts]
    # programs differ in which of the two they read
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)
