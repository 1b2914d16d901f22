"""The models there are: what they are for, under which licence, and how fast they were here."""

from fastapi import APIRouter
from sqlalchemy import Connection

from morula.common import models
from morula.common.errors import LicenceForbids
from morula.common.models import ModelSpec, Profile
from morula.gateway.components import Here
from morula.gateway.ledger.speeds import Speed, measured_speed
from morula.gateway.pipeline.params import Choices
from morula.gateway.pipeline.presets import PRESETS
from morula.gateway.schemas import Model, Models, ModelSpeed

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", response_model=Models)
async def list_models(here: Here) -> Models:
    """Models that find or describe cells; those that this gateway's profile refuses say why."""
    return await here.ledger.read(_answer, here.settings.profile)


def _answer(tx: Connection, profile: Profile) -> Models:
    rows = models.rows()
    speeds = [measured_speed(tx, row.task, row.name, row.revision) for row in rows]
    return Models(models=[_model(row, speed, profile) for row, speed in zip(rows, speeds, strict=True)])


def _model(row: ModelSpec, speed: Speed | None, profile: Profile) -> Model:
    own = ("name", "task", "revision", "object_kind", "mpp", "object_um", "measures_objects", "defaults")
    words = ("licence", "trained_on", "commercial")
    return Model.model_validate(
        {name: getattr(row, name) for name in own}
        | {name: getattr(row.description, name) for name in words}
        | {
            "channels": list(row.channels),
            "dtypes": list(row.dtypes) if row.is_network else [],
            "is_default": row.name == PRESETS[Choices().preset][row.task],
            "stains": list(row.stains),
            "variant_of": row.variant_of or None,
            "refusal": _refusal(row, profile),
            "speed": _told(speed),
        }
    )


def _refusal(row: ModelSpec, profile: Profile) -> str | None:
    try:
        row.check_use(profile)
    except LicenceForbids as error:
        return str(error)
    return None


def _told(speed: Speed | None) -> ModelSpeed | None:
    if speed is None or not speed.area_mm2:
        return None
    return ModelSpeed(
        seconds_per_mm2=speed.seconds / speed.area_mm2,
        seconds_per_megapixel=speed.seconds / speed.megapixels,
        shard_count=speed.shard_count,
    )
