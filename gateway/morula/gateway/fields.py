"""What requests are made of: what is not asked for is refused, and no value that a column or a stage cannot hold."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from morula.common.errors import InvalidArgument
from morula.common.geometry import SCALE_RANGE_UM
from morula.common.regions import FARTHEST_PX, read_polygons, to_geojson
from morula.common.stain import Stain, stain_called

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Scale = Annotated[float, Field(ge=SCALE_RANGE_UM[0], le=SCALE_RANGE_UM[1], allow_inf_nan=False)]


def _stain(value: object) -> object:
    return stain_called(value) or value if isinstance(value, str) else value


StainWord = Annotated[Stain, BeforeValidator(_stain)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=0, lt=2**31)]
"""What an integer column holds on every database."""
CellRow = Annotated[int, Field(ge=0, lt=2**53, strict=True)]
CellCount = Annotated[int, Field(ge=0, lt=2**53, strict=True)]
ClassNumber = Annotated[int, Field(ge=1, le=250, strict=True)]
NodeId = Annotated[int, Field(ge=1, lt=2**32, strict=True)]


def _regions(value: dict[str, Any]) -> dict[str, Any]:
    try:
        polygons = read_polygons(json.dumps(value))
    except InvalidArgument as error:
        raise ValueError(str(error)) from error
    count = sum(len(ring) for rings in polygons for ring in rings)
    if count > REGION_POINT_LIMIT:
        raise ValueError(f"regions have {count} points; at most {REGION_POINT_LIMIT} are taken: simplify them")
    return to_geojson(polygons)


REGION_POINT_LIMIT = 10_000
"""They are parameters of a job, and come with each answer that shows it."""
Regions = Annotated[dict[str, Any], AfterValidator(_regions)]
"""GeoJSON with polygons in level-0 pixels."""
Level0Px = Annotated[int, Field(ge=-FARTHEST_PX, le=FARTHEST_PX, strict=True)]


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for item in value.items() for part in item)
    return isinstance(value, list) and any(_has_nul(part) for part in value)


class Request(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nul(cls, value: object) -> object:
        if _has_nul(value):
            raise ValueError("no text may have a NUL character in it")
        return value
