import subprocess
import sys

import pytest

FREED_AND_TAKEN_AGAIN = """
import resource
import torch
from vpbench.compute import memory

print(memory.keep_freed())
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(6 * 2**20) for _ in range(8)]  # 24 MiB each: 6,144 pages of 4 KiB
    del held
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another system's C library")
def test_memory_that_is_freed_is_not_mapped_again():
    done = subprocess.run(
        [sys.executable, "-c", FREED_AND_TAKEN_AGAIN], capture_output=True, text=True, check=True
    )
    kept, *pages = done.stdout.split()
    if kept == "False":
        pytest.skip("this Linux has another C library than glibc")
    assert int(pages[0]) > 10 and max(map(int, pages[10:])) <= 10  # it settles within a few rounds
