"""Threads share one heap where they are told to."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from morula.common.memory import share_one_heap

if sys.argv[1] == "shared":
    share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(6)

def take():
    together.wait()
    libc.malloc(50_000)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' libraries have no such heaps")
@pytest.mark.parametrize(("words", "is_one"), [("shared", True), ("as it is", False)])
def test_threads_take_memory_from_one_heap(words: str, is_one: bool) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, words], capture_output=True, text=True, check=True)
    assert (ended.stdout.count("<heap nr=") == 1) is is_one
