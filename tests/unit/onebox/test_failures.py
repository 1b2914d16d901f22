"""Every error has one line and an exit code."""

import pytest

from morula.common.errors import ALL_ERRORS, ArtifactMissing, ModelUnavailable, SlideScaleUnknown, SlideUnreadable
from morula.onebox.failures import OTHER, UNREADABLE, WRONG_USE, Failure, Unreadable, WrongUse, exit_code, one_line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongUse("x"), WRONG_USE),
        (ModelUnavailable("x"), WRONG_USE),
        (SlideScaleUnknown("x"), WRONG_USE),
        (Unreadable("x"), UNREADABLE),
        (SlideUnreadable("x"), UNREADABLE),
        (Failure("x"), OTHER),
        (ArtifactMissing("x"), OTHER),
        (ZeroDivisionError("x"), OTHER),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_each_error_has_one_line_even_without_detail(kind: type[Exception]) -> None:
    assert one_line(kind())
    assert "\n" not in one_line(kind("two\nlines"))


def test_an_unknown_error_says_its_kind() -> None:
    assert one_line(ZeroDivisionError("by zero")) == "ZeroDivisionError: by zero"
