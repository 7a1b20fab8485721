"""Keep freed memory in the process: glibc otherwise hands every large activation back to the kernel."""

import ctypes
import platform
import sys

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_NEVER = -1
_MIB = 2**20


def keep_freed_memory() -> bool:
    """Ask glibc to reuse the memory of freed tensors instead of returning it to the kernel and faulting it in again.

    About a third of torch's time on a CPU goes into those page faults. The process then keeps its peak memory until
    it ends. Calling it again changes nothing.

    Returns:
        Whether it took effect; False where the C library is not glibc.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wishes = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: _NEVER, _M_TOP_PAD: 256 * _MIB}
    granted = [mallopt(name, value) == 1 for name, value in wishes.items()]
    return all(granted)
