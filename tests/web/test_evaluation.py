"""What a synthetic slide really holds is brought as points, measured, and the report opened from the page."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import pyarrow.csv as csv
import pyarrow.parquet as pq
from playwright.sync_api import expect

from tests.web.conftest import OpenPage


def test_a_report_is_offered_where_the_slide_is_and_does_no_harm(
    open_page: OpenPage, address: str, clustering: str, slide: Path
) -> None:
    page = open_page("/")
    table = pq.read_table(slide.with_suffix(".truth.parquet"), columns=["x_px", "y_px", "class"])
    content = io.BytesIO()
    csv.write_csv(table.rename_columns(["x", "y", "class"]), content)
    with httpx.Client(base_url=address, timeout=60) as client:
        truth = client.post("/v1/truths", files={"file": ("truth.csv", content.getvalue())}).raise_for_status().json()
        body = {"clustering_id": clustering, "truth_id": truth["id"]}
        asked = client.post("/v1/evaluations", json=body).raise_for_status()
        client.get(f"/v1/jobs/{asked.json()['id']}/events", timeout=120).raise_for_status()
        found = client.get(asked.headers["location"]).raise_for_status().json()
    assert (truth["kind"], truth["row_count"], found["state"]) == ("points", table.num_rows, "succeeded")
    assert found["match_rate"] > 0.8
    honest = found["honest"]
    assert honest["accuracy"]["value"] > honest["baselines"]["constant"]["accuracy"]["value"] > 0

    with page.expect_popup() as opened:
        page.get_by_role("link", name="clusters, ").click()
    report = opened.value
    expect(report.get_by_role("heading", level=1)).to_have_text("What these clusters are worth")
    expect(report.get_by_role("heading", level=1)).to_have_css("font-size", "25.6px")
    assert report.evaluate("self.origin") == "null", "a sandboxed page is of no site"
