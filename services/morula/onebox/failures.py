"""How a verb ends badly: one line that says what to do, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from morula.common import errors

DEBUG = "--debug"
WRONG_USE = 2
UNREADABLE = 3
OTHER = 1

_EXIT_CODES: dict[type[errors.MorulaError], int] = {
    errors.SlideUnreadable: UNREADABLE,
    errors.SlideScaleUnknown: WRONG_USE,
    errors.InvalidArgument: WRONG_USE,
    errors.MissingField: WRONG_USE,
    errors.ModelUnavailable: WRONG_USE,
    errors.LicenceForbids: WRONG_USE,
}


class Failure(Exception):
    """The verb cannot be done; the message says what to do."""

    exit_code = OTHER


class WrongUse(Failure):
    """The command was called in a way that makes no sense."""

    exit_code = WRONG_USE


class Unreadable(Failure):
    """The input cannot be read."""

    exit_code = UNREADABLE


def read_bytes(path: Path) -> bytes:
    """A file that somebody named; Unreadable says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error


def exit_code(error: BaseException) -> int:
    """2 for wrong use, 3 for unreadable input, 1 for the rest."""
    if isinstance(error, Failure):
        return error.exit_code
    return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), OTHER)


def one_line(error: BaseException) -> str:
    """What a person reads of an error."""
    text = str(error).strip() or type(error).__name__
    known = isinstance(error, Failure | errors.MorulaError | OSError)
    return " ".join((text if known else f"{type(error).__name__}: {text}").split())


def guarded(verb: Callable[[], int | None]) -> NoReturn:
    """Runs a verb and exits: one clear line per error, the trace only where it is asked for."""
    try:
        code = verb()
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("morula: stopped", err=True)
        code = OTHER
    except Exception as error:
        if DEBUG in sys.argv:
            raise
        code = _explain(error)
    sys.exit(code)


def _explain(error: Exception) -> int:
    if hasattr(error, "format_message"):
        typer.echo(f"morula: {error.format_message()}", err=True)
        return int(getattr(error, "exit_code", OTHER))
    hint = "" if exit_code(error) != OTHER or isinstance(error, Failure) else " (--debug shows the trace)"
    typer.echo(f"morula: {one_line(error)}{hint}", err=True)
    return exit_code(error)
