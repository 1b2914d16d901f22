"""What an operator relies on in the chart. `make chart` lints it, renders it twice and asks Kubernetes' schemas."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests.chart.rendering import EXAMPLES, ROOT, containers, env, find, pods, render, run

GPU = "nvidia.com/gpu"
OF_THE_IMAGE = {"MORULA_MODULE"}
ALERTS = {"MorulaQueueIsOld", "MorulaJobsFail", "MorulaWorkWaitsForGpu", "MorulaScratchIsFull"}


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ("segmenter.replica=2", "replica"),
        ("embedder.autoscaling.maximum=2", "maximum"),
        ("store.ur1=x", "ur1"),
        ("store.url=s3://bucket?endpoint=https://user:password@host", "/store/url"),
        ("weights.s3=s3://user:password@bucket/weights?endpoint=https://host", "/weights/s3"),
        ("labeller.autoscaling.mode=keda", "labeller"),
        ("conductor.autoscaling.mode=hpa", "conductor"),
        ("segmenter.resources.limits.cpu=8", "must be the same"),
        ("ingress.enabled=true,ingress.hosts={morula.example}", "tlsSecretName"),
        ("dev.enabled=true", "dev.secret"),
        ("segmenter.gpu.count=1", "segmenter.image.name"),
        ("tiler.image.name=segmenter", "tiler.image.name"),
        ("tiler.autoscaling.mode=hpa,tiler.autoscaling.min=5", "tiler.autoscaling.min"),
        ("tiler.extraEnv[0].name=MORULA_THREADS", "tiler.extraEnv"),
        ("conductor.extraEnv[0].name=MORULA_EXECUTOR_ID", "conductor.extraEnv"),
    ],
)
def test_a_wrong_value_is_refused_and_named(chosen: str, named: str) -> None:
    done = run("default", chosen)
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_pod_is_restricted_and_has_no_token(example: str) -> None:
    for name, pod in pods(render(example)):
        assert pod["automountServiceAccountToken"] is False, name
        # A Service called api would become a variable MORULA_API_PORT.
        assert pod["enableServiceLinks"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(pod):
            rules = container["securityContext"]
            assert rules["allowPrivilegeEscalation"] is False, name
            assert rules["readOnlyRootFilesystem"] is True, name
            assert rules["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys(), name
            assert any(each["mountPath"] == "/tmp" for each in container["volumeMounts"]), name


def test_no_pod_fills_its_node() -> None:
    for name, pod in pods(render("default")):
        folders = {each["name"]: each["emptyDir"] for each in pod["volumes"] if "emptyDir" in each}
        assert {"tmp", "cache"} & folders.keys(), name
        assert all("sizeLimit" in each for each in folders.values()), name


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_variable_is_a_setting(example: str) -> None:
    """A setting that is called otherwise would be left out without a word."""
    settings = set(re.findall(r"`(MORULA_\w+)`", (ROOT / "docs" / "settings.md").read_text()))
    given = {
        each["name"]
        for name, pod in pods(render(example))
        if name != "morula-trial"
        for container in containers(pod)
        for each in container.get("env", [])
        if each["name"].startswith("MORULA_")
    }
    assert "MORULA_STORE_URL" in given
    assert given - settings == OF_THE_IMAGE & given


def test_a_gpu_is_asked_for_where_it_is_and_given_up_before_it_is_needed_again() -> None:
    objects = render("gpu")
    segmenter = find(objects, "Deployment", "segmenter")["spec"]
    pod = segmenter["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"][GPU] == 1
    assert "limits" in pod["initContainers"][0]["resources"]
    assert GPU not in pod["initContainers"][0]["resources"]["limits"]
    assert pod["tolerations"] == [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    assert segmenter["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    embedder = find(objects, "Deployment", "embedder")["spec"]["template"]["spec"]
    assert embedder["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == 1
    services = env(objects, "StatefulSet", "conductor")["MORULA_GPU_SERVICES"]
    assert json.loads(str(services)) == ["segmenter", "embedder", "clusterer"]


def test_whoever_is_scaled_has_no_number_of_replicas() -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for example in ("gpu", "ha")
        for each in render(example)
        if each["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")
    }
    assert scaled == {f"morula-{name}" for name in ("api", "tiler", "segmenter", "embedder", "clusterer", "evaluator")}
    for example, by in (("gpu", "ScaledObject"), ("ha", "HorizontalPodAutoscaler")):
        objects = render(example)
        names = {each["metadata"]["name"] for each in objects if each["kind"] == by}
        for each in objects:
            if each["kind"] == "Deployment":
                assert ("replicas" in each["spec"]) == (each["metadata"]["name"] not in names), each["metadata"]["name"]


def test_keda_asks_the_ledger_for_its_own_stage_with_its_own_secret() -> None:
    objects = render("gpu", "segmenter.autoscaling.min=0", "defaults.autoscaling.min=2")
    scaler = find(objects, "ScaledObject", "segmenter")["spec"]
    assert scaler["minReplicaCount"] == 0
    (trigger,) = scaler["triggers"]
    assert trigger["metadata"]["query"] == "SELECT runnable FROM morula_runnable WHERE service = 'segmenter'"
    access = find(objects, "TriggerAuthentication", trigger["authenticationRef"]["name"].removeprefix("morula-"))
    assert access["spec"]["secretTargetRef"] == [
        {"parameter": "connection", "name": "morula-database", "key": "keda-url"}
    ]


def test_gateway_and_networks_mean_the_same_number_of_threads() -> None:
    chosen = [f"{name}.resources.limits.cpu=2500m" for name in ("segmenter", "embedder")]
    objects = render("default", *chosen)
    threads = {env(objects, "Deployment", name)["MORULA_THREADS"] for name in ("segmenter", "embedder")}
    threads.add(env(objects, "StatefulSet", "conductor")["MORULA_NETWORK_THREADS"])
    threads.add(env(objects, "Deployment", "api")["MORULA_NETWORK_THREADS"])
    assert threads == {"3"}


def test_in_a_hospital_every_way_out_has_an_address_and_every_image_its_registry() -> None:
    rules = [
        (policy["metadata"]["name"], rule)
        for policy in render("hospital")
        if policy["kind"] == "NetworkPolicy"
        for rule in policy["spec"].get("egress", [])
    ]
    assert rules
    assert not [name for name, rule in rules if not rule.get("to") or not rule.get("ports")]
    images = {container["image"] for _, pod in pods(render("hospital")) for container in containers(pod)}
    assert all(image.startswith("registry.hospital.example/pathology/morula-") for image in images)


def test_certificates_name_every_service_that_is_called() -> None:
    objects = render("ha")
    names = find(objects, "Certificate", "services")["spec"]["dnsNames"]
    variables = env(objects, "StatefulSet", "conductor")
    called = [str(value) for name, value in variables.items() if name.endswith("_ADDRESS")]
    assert len(called) == 6
    assert all(address.removeprefix("dns:///").removesuffix(":50051") in names for address in called)
    workers = env(objects, "Deployment", "tiler")
    assert all(workers[name] == variables[name] for name in ("MORULA_TLS_CERT", "MORULA_TLS_KEY", "MORULA_TLS_CA"))


def test_the_first_key_for_trying_out_has_256_bits_and_no_pod_gets_it_that_lets_nobody_in() -> None:
    objects = render("cpu-dev")
    assert "MORULA_FIRST_KEY" in env(objects, "Deployment", "api")
    assert "MORULA_FIRST_KEY" not in env(objects, "StatefulSet", "conductor")
    key: str = find(objects, "Secret", "keys")["stringData"]["first-key"]
    text = key.removeprefix("morula_")
    assert text != key
    assert len(base64.urlsafe_b64decode(f"{text}=")) == 32


def test_alerts_and_dashboards_name_numbers_that_there_are_and_runbooks_that_are_written() -> None:
    objects = render("ha")
    groups = find(objects, "PrometheusRule", "alerts")["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == ALERTS
    for rule in rules:
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        headings = [line.strip("# ").lower() for line in (ROOT / path).read_text().splitlines() if line.startswith("#")]
        assert anchor in headings
    boards = [
        json.loads(text)
        for each in objects
        if each["kind"] == "ConfigMap" and "grafana_dashboard" in each["metadata"]["labels"]
        for text in each["data"].values()
    ]
    asked = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    named = set(re.findall(r"\bmorula_\w+", " ".join([*asked, *(rule["expr"] for rule in rules)])))
    code = "\n".join(
        path.read_text() for part in ("services", "gateway/morula") for path in (ROOT / part).rglob("*.py")
    )
    assert len(boards) == 4
    assert not [name for name in named if re.sub("_(total|count|sum|bucket)$", "", name) not in code]
