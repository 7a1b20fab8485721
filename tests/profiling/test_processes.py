import os
import signal
import sys

import pytest
import torch

from maskrcnn.errors import MeasurementError
from maskrcnn.profiling.contenders import PEER, PRODUCTS, make_run
from maskrcnn.profiling.processes import (
    Measured,
    count_operations,
    measure,
    open_contest,
    peak_memory,
    prepare_processes,
)
from tests.builders.works import PREDICTION


def test_the_median_is_of_the_timed_runs():
    assert Measured((3.0, 1.0, 2.0), None, 0).median == 2


def test_contenders_alternate_in_processes_of_their_own(peer_file):
    runs = []
    prepare_processes()
    found = measure(
        "small",
        PREDICTION,
        {PEER: False, "float32": True},
        peer_file,
        rounds=2,
        threads=1,
        make=make_run,
        on_run=lambda: runs.append(1),
    )
    assert len(runs) == 2 * (1 + 2)
    assert list(found) == [PEER, "float32"]
    for one in found.values():
        assert one.objects == PREDICTION.most
        assert len(one.seconds) == 2
        assert min(one.seconds) > 0
    assert found["float32"].operations > 1e8
    assert found[PEER].operations == 0
    if sys.platform == "linux":
        assert all(200 < one.mebibytes < 4000 for one in found.values())


def test_a_contender_that_fails_says_why(peer_file):
    with (
        open_contest("small", PREDICTION, peer_file, 1, make_run) as contest,
        pytest.raises(MeasurementError, match="small: no such contender"),
    ):
        contest.start("no such contender")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_process_that_is_killed_says_what_to_do(peer_file):
    with open_contest("prediction", PREDICTION, peer_file, 1, make_run) as contest:
        contest.start(PRODUCTS)
        process, _ = contest._processes[PRODUCTS]
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(MeasurementError, match="matrix products.*-9"):
            contest.ask(PRODUCTS, "run")


def test_operations_are_those_of_products():
    assert count_operations(lambda: len(torch.ones(2, 3) @ torch.ones(3, 5))) == 2 * 2 * 3 * 5


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch was built without oneDNN")
def test_operations_of_onednn_count_as_torchs_own():
    maps, weight, sums = torch.ones(2, 4, 5, 7), torch.ones(6, 2, 3, 3), torch.zeros(2, 6, 5, 7)
    rows, matrix = torch.ones(3, 5, 4), torch.ones(8, 4)
    place = [1, 1], [1, 1], [1, 1], 2  # padding, stride, dilation, groups

    def fused():
        torch.ops.mkldnn._convolution_pointwise(maps, weight, None, *place, "relu", [], "")
        torch.ops.mkldnn._convolution_pointwise_.binary(sums, maps, weight, None, *place, "add", 1.0, "relu", [], "")
        return len(torch.ops.mkldnn._linear_pointwise(rows, matrix, None, "none", [], ""))

    def plain():
        torch.conv2d(maps, weight, None, padding=1, groups=2)
        torch.conv2d(maps, weight, None, padding=1, groups=2).add_(sums).relu_()
        return len(rows @ matrix.T)

    with torch.no_grad():
        assert count_operations(fused) == count_operations(plain) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")
def test_peak_memory_is_this_process_own():
    import resource

    assert 10 < peak_memory() <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + 1
