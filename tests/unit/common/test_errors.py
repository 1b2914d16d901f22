"""The table of errors is closed, and every status has its place in it."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from morula.common.errors import ALL_ERRORS, FALLBACKS, Busy, Code, Internal, MorulaError, TooLarge
from morula.common.wire import STATUS_CODES, from_rpc_error, from_status, to_status


def subclasses(base: type) -> set[type]:
    return {base, *(deep for child in base.__subclasses__() for deep in subclasses(child))}


def test_every_error_is_in_the_table_with_a_reason_and_a_title_of_its_own() -> None:
    ours = {error for error in subclasses(MorulaError) - {MorulaError} if error.__module__ == "morula.common.errors"}
    assert ours == set(ALL_ERRORS)
    assert len({error.reason for error in ALL_ERRORS}) == len(ALL_ERRORS)
    assert len({error().title for error in ALL_ERRORS}) == len(ALL_ERRORS)
    for error in ALL_ERRORS:
        assert error.reason == error.reason.upper()
        assert error.reason
        assert 400 <= error.http_status <= 599


@pytest.mark.parametrize("status", [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK])
def test_every_grpc_status_has_a_code_an_http_status_and_an_error(status: grpc.StatusCode) -> None:
    code = Code[status.name]
    assert code.grpc == status.value[0]
    assert 400 <= code.http <= 599
    assert STATUS_CODES[code] is status
    assert FALLBACKS[code] in ALL_ERRORS


def test_there_is_no_code_that_grpc_does_not_know() -> None:
    assert {code.name for code in Code} == {status.name for status in grpc.StatusCode} - {"OK"}
    assert set(FALLBACKS) == set(Code)


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_an_error_survives_the_wire(kind: type[MorulaError]) -> None:
    sent = kind("what happened: Größe", key="a/b")
    back = from_status(status_pb2.Status.FromString(to_status(sent).SerializeToString()))
    assert type(back) is kind
    assert (back.detail, back.metadata, back.http_status) == (sent.detail, sent.metadata, sent.http_status)


def test_busy_says_when_to_come_again() -> None:
    status = to_status(Busy("full", retry_after_s=2.5))
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 2500
    back = from_status(status)
    assert isinstance(back, Busy)
    assert back.retry_after_s == 2.5


def test_without_a_detail_the_title_speaks() -> None:
    assert str(Busy()) == "Too much is asked for at once; try again soon."
    assert str(Busy("slot full")) == "slot full"


def test_reasons_of_other_domains_are_not_ours() -> None:
    status = to_status(Busy())
    info = error_details_pb2.ErrorInfo(reason="BUSY", domain="somebody-else")
    status.details[0].Pack(info)
    assert type(from_status(status)) is TooLarge


def test_an_error_without_any_status_is_internal() -> None:
    assert type(from_rpc_error(grpc.RpcError())) is Internal
