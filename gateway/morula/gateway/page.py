"""Serves the page's files at every path that the API does not have."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Page(Mount):
    """Files of a folder, at every path that the API does not have."""

    def __init__(self, app: FastAPI, folder: Path) -> None:
        super().__init__("/", StaticFiles(directory=folder, html=True), name="page")
        self._api: list[BaseRoute] = list(app.router.routes)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match for a path of the API with a wrong method: the API answers that."""
        if any(route.matches(scope)[0] is Match.PARTIAL for route in self._api):
            return Match.NONE, {}
        return super().matches(scope)


def allowed(routes: list[BaseRoute], scope: Scope) -> list[str]:
    """The methods that the API has at this path."""
    api = [route for route in routes if not isinstance(route, Page)]
    return [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in api)
    ]
