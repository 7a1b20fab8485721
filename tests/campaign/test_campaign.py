"""A short part of the campaign on every run of the tests, a long one in `make test-slow`; `make campaign` for more."""

import pytest

from tests.campaign.__main__ import report, shares
from tests.campaign.annotations import SEEDS, use
from tests.campaign.kills import kill_and_resume
from tests.campaign.watch import PARTS, run_watched

SHORT = {"annotations": 93, "images": 40, "checkpoints": 20}


@pytest.mark.parametrize("name", SEEDS)
def test_a_dataset_that_is_not_changed_is_read(tmp_path, name):
    SEEDS[name].write(tmp_path)
    use(SEEDS[name], tmp_path)


@pytest.mark.parametrize("part", PARTS)
def test_every_case_succeeds_or_is_refused(part):
    outcomes = run_watched(part, 1, range(SHORT[part]))
    assert list(report(part, outcomes))[1:] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_case_of_a_long_campaign_succeeds_or_is_refused(part):
    outcomes = run_watched(part, 2, range(shares(10_000)[part]))
    assert list(report(part, outcomes))[1:] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_at_random_moments_equals_an_unbroken_one(tmp_path, seed):
    killed, differences = kill_and_resume(tmp_path, seed, kills=20)
    assert (killed, differences) == (20, [])
