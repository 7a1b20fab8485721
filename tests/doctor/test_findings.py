import pytest

from maskrcnn.doctor.findings import Example, Finding, by_share, in_order, share, some


def finding(severity="note", name="crowds", what="train: 1.", advice="Look.", **more):
    return Finding(severity, name, what, advice, **more)


def test_the_worst_come_first_and_equals_keep_their_order():
    findings = [finding("note", "a"), finding("error", "b"), finding("warning", "c"), finding("error", "d")]
    assert [one.name for one in in_order(findings)] == ["b", "d", "c", "a"]
    assert in_order([]) == []


def test_the_same_of_two_splits_is_reported_once_with_examples_of_both_in_turn():
    train = finding(count=2, examples=(Example("t1"), Example("t2")), settings=("augment.horizontal_flip=0",))
    val = finding(what="val: 5.", count=5, examples=(Example("v1"),), settings=("augment.horizontal_flip=0",))
    (joined,) = in_order([train, val])
    assert joined.what == "train: 1.\nval: 5."
    assert joined.count == 7
    assert [example.words for example in joined.examples] == ["t1", "v1", "t2"]
    assert joined.settings == ("augment.horizontal_flip=0",)


def test_findings_that_differ_in_severity_or_advice_stay_apart():
    assert len(in_order([finding(), finding("warning"), finding(advice="Do not look.")])) == 3


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (12, 400, "12 of 400 (3.0 %)"),
        (0, 5, "0 of 5 (0 %)"),
        (1, 5000, "1 of 5,000 (< 0.1 %)"),
        (50, 100, "50 of 100 (50 %)"),
        (0, 0, "0 of 0 (0 %)"),
    ],
)
def test_shares_are_written_with_their_numbers(part, whole, words):
    assert share(part, whole) == words


def test_shares_numbers_and_examples_are_short():
    assert by_share(1, 100) == "note"
    assert by_share(2, 100) == "warning"
    assert by_share(2, 100, 0.05) == "note"
    assert [one.words for one in some([Example(str(n)) for n in range(9)])] == ["0", "1", "2", "3", "4"]
