"""`python -m tests.chart.schemas FOLDER`: JSON schemas of Kubernetes and of operators, from their own Go modules.

They are strict: a field that a kind does not have is an error. FOLDER/VERSION holds those of one Kubernetes and
FOLDER/operators the others, named as kubeconform asks for them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = ("v1.34.3", "v1.36.3")
OPERATORS = {
    "github.com/kedacore/keda/v2@v2.21.0": (
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "config/crd/bases/keda.sh_triggerauthentications.yaml",
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "github.com/cert-manager/cert-manager@v1.21.2": ("deploy/crds/cert-manager.io_certificates.yaml",),
    "sigs.k8s.io/gateway-api@v1.4.1": ("config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",),
}
Schema = dict[str, Any]


def main() -> None:
    folder = Path(sys.argv[1])
    for version in KUBERNETES:
        if not (folder / version).is_dir():
            swagger = json.loads((module(f"k8s.io/kubernetes@{version}") / "api/openapi-spec/swagger.json").read_text())
            write(folder / version, kubernetes(swagger))
    if not (folder / "operators").is_dir():
        write(folder / "operators", {name: schema for each in OPERATORS for name, schema in operator(each).items()})


def module(name: str) -> Path:
    """Where Go keeps a module."""
    told = subprocess.run(["go", "mod", "download", "-json", name], cwd="/", capture_output=True, text=True, check=True)
    return Path(json.loads(told.stdout)["Dir"])


def kubernetes(swagger: Schema) -> dict[str, Schema]:
    """Schemas of the kinds that are asked for by themselves; each brings all definitions that it needs."""
    definitions = {name: strict(each) for name, each in swagger["definitions"].items()}
    schemas = {}
    for name, each in swagger["definitions"].items():
        for kind in each.get("x-kubernetes-group-version-kind", []):
            schema = {"$ref": f"#/definitions/{name}", "definitions": needed(definitions, name)}
            group = f"-{kind['group'].split('.')[0]}" if kind["group"] else ""
            schemas[f"{kind['kind']}{group}-{kind['version']}".lower()] = schema
    return schemas


def needed(definitions: dict[str, Schema], name: str) -> dict[str, Schema]:
    """The definition of this name, and all that it names."""
    found: dict[str, Schema] = {}
    asked = [name]
    while asked:
        name = asked.pop()
        if name not in found:
            found[name] = definitions[name]
            asked += [text.split('"')[0] for text in json.dumps(definitions[name]).split('"#/definitions/')[1:]]
    return found


def operator(name: str) -> dict[str, Schema]:
    """Schemas of the kinds that a module defines."""
    schemas = {}
    for path in OPERATORS[name]:
        definition = yaml.safe_load((module(name) / path).read_text())["spec"]
        group = definition["group"].split(".")[0]
        for version in definition["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schemas[f"{definition['names']['kind']}-{group}-{version['name']}".lower()] = schema
    return schemas


def strict(schema: Any) -> Any:
    """The schema with nothing allowed that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    if schema.get("description", "").startswith("Quantity is a fixed-point"):
        return {"type": ["string", "number"]}
    properties = schema.get("properties")
    made = {
        name: strict(value) for name, value in schema.items() if name not in ("description", "format", "properties")
    }
    if properties:
        made["properties"] = {name: strict(value) for name, value in properties.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made


def write(folder: Path, schemas: dict[str, Schema]) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    unfinished.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        (unfinished / f"{name}.json").write_text(json.dumps(schema))
    unfinished.rename(folder)


if __name__ == "__main__":
    main()
