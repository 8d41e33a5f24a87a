"""deploy/kong/kong.yml: as Kong 3.9 reads it, and as the service and docker-compose.yml need it."""

import json
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.conf import settings

from tests.acceptance.service import ROOT
from tests.deploy.compose import services

SCHEMA = Path(__file__).parent / "kong.schema.json"


@pytest.fixture(scope="module")
def kong() -> Any:
    return yaml.safe_load((ROOT / "deploy" / "kong" / "kong.yml").read_text())


@pytest.fixture(scope="module")
def orchestrator(kong: Any) -> Any:
    [service] = kong["services"]
    return service


def plugin(owner: Any, name: str) -> Any:
    [found] = [each["config"] for each in owner["plugins"] if each["name"] == name]
    return found


def route_of(service: Any, method: str, path: str) -> str | None:
    """The name of the route that Kong chooses: of those that fit, the one of the longest path."""
    fitting = [
        (len(prefix), route["name"])
        for route in service["routes"]
        for prefix in route["paths"]
        if path.startswith(prefix) and method in route.get("methods", [method])
    ]
    return max(fitting)[1] if fitting else None


def test_kong_knows_every_key(kong: Any) -> None:
    jsonschema.Draft202012Validator(
        json.loads(SCHEMA.read_text()),
        format_checker=jsonschema.FormatChecker(),
    ).validate(kong)


def test_the_upstream_is_the_instances_of_compose(kong: Any, orchestrator: Any) -> None:
    [upstream] = kong["upstreams"]
    instances = [name for name in services() if name.startswith("saga-orchestrator-")]
    instances.remove("saga-orchestrator-db")
    wanted = {f"{name}:{services()[name]['environment']['PORT']}" for name in instances}
    assert {target["target"] for target in upstream["targets"]} == wanted
    assert len(wanted) == 2
    assert orchestrator["host"] == upstream["name"]
    assert set(services()["kong"]["depends_on"]) == set(instances)


def test_an_instance_that_drains_is_left_out_in_time(kong: Any) -> None:
    active = kong["upstreams"][0]["healthchecks"]["active"]
    assert active["http_path"] == "/health/ready"
    assert 503 in active["unhealthy"]["http_statuses"]
    seen = active["unhealthy"]["interval"] * active["unhealthy"]["http_failures"]
    drain = float(services()["saga-orchestrator-1"]["environment"]["SAGA_DRAIN_MS"]) / 1000
    assert 0 < seen < drain / 2
    assert active["healthy"]["interval"] > 0, "one that is well again would not be seen"
    # The service's own 503 says that its database is away: no other instance has another one.
    passive = kong["upstreams"][0]["healthchecks"]["passive"]["unhealthy"]
    assert passive["http_failures"] == 0
    assert passive["tcp_failures"] > 0


def test_the_gateway_is_more_patient_than_the_service(kong: Any, orchestrator: Any) -> None:
    assert orchestrator["read_timeout"] / 1000 > settings.SAGA_MAX_WAIT + 10
    assert orchestrator["write_timeout"] / 1000 > settings.SAGA_CLIENT_TIMEOUT
    size = plugin(kong, "request-size-limiting")
    assert size["size_unit"] == "megabytes"
    assert size["allowed_payload_size"] * 2**20 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_idle_connections_are_the_gateways_to_end() -> None:
    from sagaproject import gunicorn

    environment = services()["kong"]["environment"]
    assert int(environment["KONG_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT"]) < gunicorn.keepalive


def test_every_documented_address_has_its_route(orchestrator: Any) -> None:
    documented = re.findall(
        r"(?:curl -X (\w+) )?http://localhost:8000(/saga[\w/{}.-]*)",
        (ROOT / "README.md").read_text(),
    )
    addresses = {(method or "GET", path) for method, path in documented} | {
        ("POST", "/saga-orchestrator/api/v1/sagas"),
        ("POST", "/saga-orchestrator/api/v1/sagas/{saga-id}/execute"),
        ("GET", "/saga-orchestrator/api/v1/sagas/{id}"),
        ("GET", "/saga-orchestrator/api-docs"),
        ("GET", "/saga-orchestrator/admin/"),
    }
    for address in addresses:
        wanted = {"/saga/health": "saga-monitoring", "/saga/metrics": "saga-metrics"}.get(
            address[1], "saga-orchestrator"
        )
        assert route_of(orchestrator, *address) == wanted, address
    for path, name in (("/saga/health", "saga-monitoring"), ("/saga/metrics", "saga-metrics")):
        assert route_of(orchestrator, "GET", path) == name
        assert route_of(orchestrator, "POST", path) is None
    for path in ("/metrics", "/api/v1/sagas", "/saga/api/v1/sagas", "/"):
        assert route_of(orchestrator, "GET", path) is None


def test_metrics_are_for_those_within(orchestrator: Any) -> None:
    [route] = [each for each in orchestrator["routes"] if each["name"] == "saga-metrics"]
    for path in ("/saga/metrics", "/saga-orchestrator/metrics"):
        assert route_of(orchestrator, "GET", path) == "saga-metrics"
    allowed = [ip_network(each) for each in plugin(route, "ip-restriction")["allow"]]
    assert all(network.is_private for network in allowed)
    assert any(ip_address("172.18.0.1") in network for network in allowed), "this machine's"


def test_a_proxy_before_it_can_be_believed() -> None:
    """Else Kong names itself the end of TLS, and the proxy every client's address."""
    trusted = services()["kong"]["environment"]["KONG_TRUSTED_IPS"]
    assert trusted == "${KONG_TRUSTED_IPS:-127.0.0.1}"
    api = services()["saga-orchestrator-1"]["environment"]
    assert api["SAGA_TRUSTED_PROXIES"] == "${SAGA_TRUSTED_PROXIES:-1}"


def test_prefixes_stay_on_the_path_as_the_service_takes_them_off(orchestrator: Any) -> None:
    assert [route["strip_path"] for route in orchestrator["routes"]] == [False] * 3


def test_a_load_on_the_health_check_meets_no_limit(kong: Any, orchestrator: Any) -> None:
    limited = [r["name"] for r in orchestrator["routes"] if "rate-limiting" in str(r)]
    assert limited == ["saga-orchestrator"]
    assert "rate-limiting" not in {each["name"] for each in kong["plugins"]}


def test_requests_are_named_and_counted(kong: Any) -> None:
    assert plugin(kong, "correlation-id")["header_name"] == "X-Request-Id"
    metrics = plugin(kong, "prometheus")
    assert {name for name, on in metrics.items() if on} == {
        "status_code_metrics",
        "latency_metrics",
        "bandwidth_metrics",
        "upstream_health_metrics",
    }
