"""What a processor is fast in is read off what the system says of every core."""

from pathlib import Path

import pytest

from morula.common.processor import computes_in_bfloat16


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["fpu avx512_bf16", "avx512_bf16 sse"], True),
        (["fpu amx_bf16"], True),
        (["fpu avx512_bf16", "fpu avx2"], False),
        (["fpu avx512_bf16_other"], False),
        ([], False),
    ],
)
def test_it_computes_in_bfloat16_if_every_core_does(tmp_path: Path, flags: list[str], expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("".join(f"processor\t: {n}\nflags\t\t: {core}\n\n" for n, core in enumerate(flags)))
    assert computes_in_bfloat16(cpuinfo) is expected


def test_where_the_system_does_not_say_it_does_not(tmp_path: Path) -> None:
    assert not computes_in_bfloat16(tmp_path / "cpuinfo")
