"""What a person asks for, and what is left to the preset."""

from pathlib import Path

from morula.onebox.run import Request


def test_only_what_was_named_is_asked_for() -> None:
    plain = Request(Path("a.svs"), Path("out"), "default", None, None, None, None)
    assert plain.params == {"preset": "default"}
    named = Request(Path("a.svs"), Path("out"), "default", "watershed", None, 0.25, 0.5)
    assert named.params == {"preset": "default", "segmenter": "watershed", "mpp": 0.25, "slide_mpp": 0.5}
