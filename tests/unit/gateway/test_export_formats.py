"""The formats in which files are taken away: each can be told apart and served."""

from __future__ import annotations

import pytest

from morula.gateway.app import bare_app
from morula.gateway.exports.formats import MEDIA_TYPES, Format
from morula.gateway.exports.job_files import JOB_FILES
from morula.gateway.exports.label_files import LABEL_FILES, SLIDE_LABEL_FILES

LABELS: tuple[Format[object], ...] = (*SLIDE_LABEL_FILES, *LABEL_FILES)  # type: ignore[arg-type] # of any material


@pytest.mark.parametrize("formats", [JOB_FILES, LABELS], ids=["job", "labels"])
def test_each_format_has_a_name_and_a_media_type_of_its_own(formats: tuple[Format[object], ...]) -> None:
    assert len({each.name for each in formats}) == len(formats)
    assert {each.media_type for each in formats} <= set(MEDIA_TYPES.values())


def test_each_format_of_labels_is_an_address_that_says_what_it_answers() -> None:
    paths = bare_app().openapi()["paths"]
    for each in LABELS:
        operation = paths[f"/v1/labellings/{{labelling_id}}/{each.name}"]["get"]
        assert operation["description"] == each.about
        assert list(operation["responses"]["200"]["content"]) == [each.media_type]
