"""The chart, installed: its servers outside of the cluster, its secrets, its values and its door."""

from __future__ import annotations

import json
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from morula.gateway.api_keys import new_key
from tests.chaos.door import Door
from tests.chaos.grounds import ServerGround
from tests.cluster.kubernetes import Json, Namespace, is_ready, wait_until

CHART = Path(__file__).resolve().parents[2] / "deploy" / "chart"
WORKERS = ("tiler", "segmenter", "embedder", "clusterer", "labeller", "evaluator")
COMPONENTS = ("api", "conductor", *WORKERS)
MAX_CONNECTION_AGE_S = 30
HOST = "morula.example"
SECRETS = {"store": "morula-store", "database": "morula-database", "token": "morula-token", "keys": "morula-keys"}


@dataclass
class Release:
    """One release of the chart in one namespace."""

    namespace: Namespace
    ground: ServerGround
    repository: str
    tag: str
    name: str = "morula"
    key: str = field(default_factory=new_key)
    _database_url: str = ""

    def write_secrets(self) -> None:
        """What the chart asks an operator for."""
        url = self._database_url = self.ground.new_database()
        access = self.ground.environment
        access_key, secret_key = access["MORULA_S3_ACCESS_KEY"], access["MORULA_S3_SECRET_KEY"]
        self.namespace.secret(SECRETS["store"], access_key=access_key, secret_key=secret_key)
        plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self.namespace.secret(SECRETS["database"], url=url, keda_url=f"{plain}?sslmode=disable")
        self.namespace.secret(SECRETS["token"], token=secrets.token_hex(32))
        self.namespace.secret(SECRETS["keys"], first_key=self.key)

    def install(self) -> None:
        self.namespace.helm("install", self.name, str(CHART), *self._chosen({}), "--wait", "--timeout=10m")
        self.wait_until_ready()

    def upgrade(self, values: Json, *, wait: bool = True) -> None:
        """To the values of the tests with these on top."""
        waiting = ("--wait", "--timeout=10m") if wait else ()
        self.namespace.helm("upgrade", self.name, str(CHART), *self._chosen(values), "--force-conflicts", *waiting)
        if wait:
            self.wait_until_ready()

    def uninstall(self) -> None:
        self.namespace.helm("uninstall", self.name, "--wait", "--timeout=5m")

    def selector(self, component: str = "") -> str:
        chosen = f"app.kubernetes.io/instance={self.name}"
        return f"{chosen},app.kubernetes.io/component={component}" if component else chosen

    def pods(self, component: str) -> list[Json]:
        """Pods of a component that are not on their way out."""
        pods = self.namespace.get("pods", self.selector(component))
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def conductor_at_work(self) -> str:
        """Name of the conductor's pod that runs a job."""
        with psycopg.connect(self._database_url.replace("+psycopg", "", 1)) as connection:
            row = connection.execute("SELECT conductor FROM job WHERE state = 'running'").fetchone()
        if row is None:
            raise RuntimeError("no job is running")
        return str(row[0]).partition("/")[0]

    def wait_until_ready(self) -> None:
        """Until every pod that is wanted works."""

        def all_ready() -> bool:
            pods = [pod for name in COMPONENTS for pod in self.pods(name)]
            return bool(self.pods("api")) and all(map(is_ready, pods))

        wait_until("every pod is ready", all_ready)

    def door(self) -> Door:
        """The service of the API, asked from outside of every pod by its address and with a key."""
        service = self.namespace.get("services", self.selector("api"))[0]
        url = f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"
        return Door([url], headers={"Authorization": f"Bearer {self.key}", "Host": HOST})

    def _chosen(self, values: Json) -> list[str]:
        own = Path(__file__).with_name("values.yaml")
        here = {
            "image": {"repository": self.repository, "tag": self.tag},
            "store": {"url": self.ground.environment["MORULA_STORE_URL"]},
        }
        chosen = [f"--values={own}"]
        for part in (here, values):
            with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
                json.dump(part, file)
            chosen.append(f"--values={file.name}")
        return chosen
