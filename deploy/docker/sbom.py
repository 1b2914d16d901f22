"""What an image holds, as CycloneDX: `sbom.py NAME VERSION PAGE_LOCK` prints it.

That is packages of Debian, of Python, and of the page.
"""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote


def component(kind: str, name: str, version: str, licence: str = "") -> dict[str, Any]:
    purl = f"pkg:{kind}/{quote(name)}@{quote(version)}"
    licences = {"licenses": [{"license": {"name": licence}}]} if licence else {}
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **licences}


def of_debian() -> list[dict[str, Any]]:
    if not shutil.which("dpkg-query"):
        return []
    asked = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S603
    return [component("deb/debian", *line.split()) for line in lines]


def of_python() -> list[dict[str, Any]]:
    return [
        component("pypi", re.sub(r"[-_.]+", "-", each.name).lower(), each.version, licence_of(each))
        for each in distributions()
    ]


def licence_of(distribution: Distribution) -> str:
    """Its expression, else its first words about it, else what it is classified as."""
    said = distribution.metadata
    classified = [
        words.rsplit(" :: ", 1)[-1] for words in said.get_all("Classifier") or [] if words.startswith("License")
    ]
    text = said.get("License-Expression") or " or ".join(classified) or said.get("License") or ""
    return text.strip().split("\n")[0]


def of_page(lock: Path) -> list[dict[str, Any]]:
    """The page's own packages, which are built into its files."""
    packages = json.loads(lock.read_text("utf-8"))["packages"].items()
    return [
        component("npm", path.rsplit("node_modules/", 1)[-1], each["version"], each.get("license", ""))
        for path, each in packages
        if path and not each.get("dev") and not each.get("devOptional")
    ]


def main(name: str, version: str, page_lock: Path) -> None:
    components = {each["bom-ref"]: each for each in of_debian() + of_python() + of_page(page_lock)}
    image = {"type": "container", "bom-ref": name, "name": name, "version": version}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image},
        "components": sorted(components.values(), key=lambda each: each["bom-ref"]),
    }
    sys.stdout.write(json.dumps(bill, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
