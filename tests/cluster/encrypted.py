"""Calls between services by TLS with certificates on both sides, as one value turns it on."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.cluster.release import WORKERS, Release

SECRET = "morula-tls"


def write_certificates(release: Release) -> None:
    """One authority, and one certificate that names every worker's Service."""
    names = ",".join(f"DNS:{release.name}-{worker}" for worker in WORKERS)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)

        def openssl(*arguments: str) -> None:
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=tests", "-days", "2")
        openssl("req", *key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=morula")
        (folder / "names").write_text(f"subjectAltName={names}\n")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", "tls.csr", "-out", "tls.crt", *signing)
        files = {name: (folder / name).read_text() for name in ("tls.crt", "tls.key", "ca.crt")}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": files}
    release.namespace.apply(secret)


def turn_on(release: Release) -> None:
    write_certificates(release)
    release.upgrade({"mtls": {"enabled": True, "secretName": SECRET}})
