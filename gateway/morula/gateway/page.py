"""The page and its files, beside the API: whose path it is says what it may be asked for."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Page(Mount):
    """Files of a folder, at every path that the API does not know."""

    def __init__(self, app: FastAPI, folder: Path) -> None:
        super().__init__("/", StaticFiles(directory=folder, html=True), name="page")
        self._api: list[BaseRoute] = list(app.router.routes)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """A path of the API with a method that it has not is the API's to refuse."""
        if any(route.matches(scope)[0] is Match.PARTIAL for route in self._api):
            return Match.NONE, {}
        return super().matches(scope)


def allowed(routes: list[BaseRoute], scope: Scope) -> list[str]:
    """What the API may be asked with at this path."""
    api = [route for route in routes if not isinstance(route, Page)]
    return [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in api)
    ]
