"""Slides that came with their cells, and suggestions, on a cluster's ground; the command's tests are on a laptop's."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from morula.common.testing import write_slide
from morula.onebox.assembled import assemble
from morula.onebox.published_run import Remarks, slides_in
from tests.contract.described import described_columns, of_parquet
from tests.fixtures.published_run import write_run
from tests.servers.gateway import gateway, place_of, services

ORIGIN: dict[str, Any] = {
    "model": "seer", "endpoint": "http://127.0.0.1/v1", "prompt_sha256": "0" * 64, "rows": [1], "call_count": 1,
    "token_count": 10, "morula": "0.1.0",
}  # fmt: skip


async def test_cells_come_in_and_go_out_and_suggestions_go_with_their_labelling(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", places=((0, 0), (1, 0)))
    (folder,) = slides_in(run.folder)
    (made,) = assemble(folder, tmp_path, 0.5, Remarks())
    write_slide(tmp_path / "plain.tiff", 600, 500)
    url, store = place_of("PostgreSQL and S3", request)
    async with services(tmp_path, store=store) as running, gateway(running, tmp_path, url) as client:
        files = [("file", (name, path.read_bytes())) for name, path in made.files.items()]
        answer = await client.http.post("/v1/slides", files=files, data={"name": made.name, "mpp": "0.5"})
        slide = client.ok(answer)
        job = client.ok(await client.http.post("/v1/jobs", json={"slide_id": slide["id"], "preset": "imported"}))
        job = await client.ended(job["id"])
        assert (job["state"], job["cell_count"], job["error"]) == ("succeeded", made.cell_count, None)

        known = described_columns()
        came = next(path for name, path in made.files.items() if name.endswith(".parquet"))
        assert of_parquet(came.read_bytes()) == known["Imported cells"]
        cells = await client.http.get(f"/v1/jobs/{job['id']}/files/cells.parquet")
        columns = known["cells.parquet"] | known["morphology"] | known["cells.parquet of imported cells"]
        assert of_parquet(cells.content) == columns

        plain = await client.upload(tmp_path / "plain.tiff")
        refused = await client.http.post("/v1/jobs", json={"slide_id": plain["id"], "preset": "imported"})
        assert (refused.status_code, "No cells came" in refused.json()["detail"]) == (400, True)

        labelling = f"/v1/labellings/{job['labelling_id']}"
        packed = await client.http.get(f"{labelling}/published.zip")
        names = zipfile.ZipFile(io.BytesIO(packed.content)).namelist()
        assert sum(name.endswith("_mask.png") for name in names) == 2

        body = {"class_number": None, "votes": [{"class_number": None, "reason": "blurred"}], "origin": ORIGIN}
        for rows in ([1], [1, 2]):
            client.ok(
                await client.http.put(f"{labelling}/suggestions/1", json={**body, "origin": {**ORIGIN, "rows": rows}})
            )
        (kept,) = client.ok(await client.http.get(f"{labelling}/suggestions"))["suggestions"]
        assert (kept["node_id"], kept["class_number"], kept["origin"]["rows"]) == (1, None, [1, 2])
        assert (await client.http.delete(labelling)).status_code == 204
        assert (await client.http.get(f"{labelling}/suggestions")).status_code == 404
