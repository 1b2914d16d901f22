"""The licence gate: which models jobs may use here. Asked with each job, and again when it is taken up."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from morula.common import models
from morula.common.models import ANY_USE, Profile
from morula.gateway.ledger import jobs
from morula.gateway.pipeline.params import Params


def check_params(params: Params, profile: Profile) -> None:
    """Raise LicenceForbids where a model of these parameters may not be used under the profile.

    Of another revision than the one that is here nobody knows the licence.
    """
    if profile == ANY_USE:
        return
    models.resolve(params.segmenter, params.segmenter_revision, "segmenter").check_use(profile)
    models.resolve(params.embedder, params.embedder_revision, "embedder").check_use(profile)


def check_job(tx: Connection, job: Mapping[str, Any], profile: Profile) -> None:
    """The same for a job that is there."""
    for params in params_behind(tx, job):
        check_params(params, profile)


def params_behind(tx: Connection, job: Mapping[str, Any]) -> list[Params]:
    """Parameters of all that a job's results come from: its own, and of the jobs that it goes on from."""
    sources = [jobs.get_job(tx, each) for each in job["source_job_ids"]]
    return [Params(**job["params"]), *(params for source in sources for params in params_behind(tx, source))]
