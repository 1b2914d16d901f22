"""Files of regions that a person drew."""

from __future__ import annotations

import json
from pathlib import Path

from morula.common.errors import InvalidArgument
from morula.common.regions import read_polygons, to_geojson
from morula.onebox.failures import WrongUse


def region_text(path: Path | None) -> str:
    """The polygons of a GeoJSON file, as the tiler and the gateway take them; without a file, nothing."""
    if path is None:
        return ""
    try:
        return json.dumps(to_geojson(read_polygons(path.read_text(encoding="utf-8-sig"))))
    except OSError as error:
        raise WrongUse(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path} is not a text file: name a GeoJSON file") from error
    except InvalidArgument as error:
        raise WrongUse(f"{path}: {error}") from error
