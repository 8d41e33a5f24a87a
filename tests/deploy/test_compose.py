"""docker-compose.yml: valid, hardened, and in agreement with the service and its other files."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from django.conf import settings

from sagaproject import addresses, config
from tests.acceptance.service import ROOT
from tests.deploy.compose import COMPOSE, services

REQUIRED = {"DB_PASSWORD", "REDIS_PASSWORD", "DJANGO_SECRET_KEY", "GRAFANA_PASSWORD"}
OURS = ["saga-orchestrator-1", "saga-orchestrator-2", "saga-worker", "saga-migrate", "shop"]
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")

each_service = pytest.mark.parametrize("name", services())


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def megabytes(service: Any) -> int:
    return int(service["deploy"]["resources"]["limits"]["memory"].removesuffix("M"))


def environment(name: str, **given: str) -> dict[str, str]:
    """What the container gets, with these values in .env."""

    def value(found: re.Match[str]) -> str:
        name, how, text = found.groups()
        assert given.get(name) or how != "?", text
        return given.get(name) or (text if how == "-" else "")

    return {k: _VARIABLE.sub(value, v) for k, v in services()[name]["environment"].items()}


def test_it_is_a_compose_file() -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, str(COMPOSE)]
    subprocess.run(command, check=True, timeout=60)


@each_service
def test_a_service_can_do_little_harm(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("user") not in ("root", "0")
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    assert megabytes(service) <= 512
    assert service["networks"]


@each_service
def test_a_service_is_watched_and_comes_back(name: str) -> None:
    service = services()[name]
    once = name == "saga-migrate"
    assert service["restart"] == ("no" if once else "unless-stopped")
    # The API's own is the image's.
    has_one = "healthcheck" in service or service["image"].startswith("saga-orchestrator:")
    assert has_one
    for other, how in service.get("depends_on", {}).items():
        ended = other == "saga-migrate"
        wanted = "service_completed_successfully" if ended else "service_healthy"
        assert how["condition"] == wanted


def test_images_are_pinned() -> None:
    for name, service in services().items():
        if name not in OURS:
            assert re.fullmatch(r"[\w./-]+:v?\d+(\.\d+)*(-\w+)?", service["image"]), name
        assert service["image"].startswith("saga-orchestrator:") == (name in OURS)


def test_the_instances_are_those_of_the_description() -> None:
    for number in (1, 2):
        service = services()[f"saga-orchestrator-{number}"]
        assert service["ports"] == [f"127.0.0.1:360{number}:3000"]
        assert service["deploy"]["resources"] == {
            "limits": {"memory": "200M"},
            "reservations": {"memory": "100M"},
        }
        assert service["depends_on"]["saga-migrate"]
    assert services()["kong"]["ports"] == ["8000:8000"]


def test_the_guide_names_the_ports() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    for name, what in (("kong", "Kong serves"), ("grafana", "Grafana is at")):
        [published] = services()[name]["ports"]
        port = published.removeprefix("127.0.0.1:").split(":")[0]
        assert f"{what} http://localhost:{port}" in " ".join(guide.split())


def test_the_gateway_reaches_neither_database_nor_redis() -> None:
    reached = set(services()["kong"]["networks"])
    for name in ("saga-orchestrator-db", "redis", "redis-cache"):
        assert services()[name]["networks"] == ["data"]
        assert "ports" not in services()[name]
    assert "data" not in reached
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["data"]["internal"] is True


def test_no_secret_is_in_the_files() -> None:
    used = {(m[1], m[2]) for m in _VARIABLE.finditer(COMPOSE.read_text())}
    assert {name for name, how in used if how == "?"} == REQUIRED
    lines = (ROOT / ".env.example").read_text().splitlines()
    offered = dict(line.split("=") for line in lines if line and not line.startswith("#"))
    assert set(offered) == {name for name, _ in used}
    assert not any(offered.values())
    for service in services().values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY$", name):
                assert value.startswith("${"), name
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in ignored
    # `.*` leaves the file out of the image.
    assert ".*" in (ROOT / ".dockerignore").read_text().splitlines()


@pytest.mark.parametrize("name", OURS[:4])
def test_the_service_takes_its_settings(name: str) -> None:
    env = config.Environment(environment(name, **dict.fromkeys(REQUIRED, "0123456789abcdef" * 4)))
    assert config.environment(env) == "production"
    database = addresses.database(env, settings.STATE_DIR)
    assert (database["HOST"], database["NAME"]) == ("saga-orchestrator-db", "saga_db")
    broker = addresses.redis_url(env)
    assert "@redis:6379" in broker
    assert "@redis-cache:6379" in addresses.cache_url(env, broker)
    shop = services()["shop"]
    participants = addresses.participants(env, production=True)
    assert {url.split(":")[1] for url in participants.values()} == {"//shop"}
    for url in participants.values():
        assert url.rsplit(":", 1)[1] in str(shop["healthcheck"]["test"])
    assert config.secret_key(env, settings.STATE_DIR, production=True).startswith("0123")
    assert env.problems == []


def test_prometheus_finds_what_it_scrapes() -> None:
    file = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in file["scrape_configs"]}
    worker, looked_up = (
        environment("saga-worker", **dict.fromkeys(REQUIRED, "x")),
        jobs["saga-worker"],
    )
    (found,) = looked_up["dns_sd_configs"]
    assert found["names"] == ["saga-worker"]
    assert (worker["SAGA_METRICS_PORT"], worker["SAGA_METRICS_BIND"]) == (
        str(found["port"]),
        "0.0.0.0",
    )
    assert f":{found['port']}/metrics" in " ".join(services()["saga-worker"]["healthcheck"]["test"])
    (static,) = jobs["saga-orchestrator"]["static_configs"]
    assert static["targets"] == [f"{name}:3000" for name in OURS[:2]]


def test_messages_are_kept_and_cached_values_are_not() -> None:
    [broker], [cache] = services()["redis"]["command"], services()["redis-cache"]["command"]
    assert "--maxmemory-policy noeviction" in broker
    assert "--appendonly yes" in broker
    assert "--maxmemory-policy allkeys-lru" in cache
    for name, command in (("redis", broker), ("redis-cache", cache)):
        [limit] = re.findall(r"--maxmemory (\d+)mb", command)
        assert 1.5 * int(limit) <= megabytes(services()[name])


def test_there_is_time_to_end_in_order() -> None:
    api, worker = services()["saga-orchestrator-1"], services()["saga-worker"]
    drain = float(api["environment"]["SAGA_DRAIN_MS"]) / 1000
    assert seconds(api["stop_grace_period"]) > drain + 30 + 5
    assert seconds(worker["stop_grace_period"]) > settings.SAGA_LEASE + 10
    assert seconds(services()["kong"]["stop_grace_period"]) > settings.SAGA_MAX_WAIT + 30


def test_the_example_of_a_rolling_update_names_services() -> None:
    head = COMPOSE.read_text().split("name: saga-orchestrator\n")[0]
    named = set(re.findall(r"\bsaga-[a-z]+(?:-\d)?\b", head)) - {"saga-orchestrator"}
    assert named == set(OURS[:4])
