import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from maskrcnn.ops.allocator import keep_freed_memory
keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(10):  # glibc uses its padding up before it looks for a gap
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)  # 64 MiB, 16384 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    return int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_is_used_again_without_new_page_faults():
    assert faults("keep") < 1000
    # Without it each tensor comes fresh from the kernel, in pages of 4 KiB or, at best, of 2 MiB.
    assert faults("as it is") >= 10 * 32
