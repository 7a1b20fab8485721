import io

from rich.console import Console

from maskrcnn.config.presets import Study
from maskrcnn.training.ablation import ablation_markdown, ablation_table

STUDY = Study.model_validate(
    {
        "table": "9",
        "title": "Lenses",
        "score": "segm",
        "variants": {
            "thin": {"changes": ["neck.name=c4"], "published": [20.0, 40.0, 10.0]},
            "thick": {"changes": ["neck.name=c5"], "published": [30.0]},
            "none": {"changes": ["neck.name=fpn"], "published": [10.0]},
        },
    }
)
MEASURED = {
    "thin": {"AP": 0.5, "AP50": 0.75, "AP75": 0.25, "seconds": 90.0},
    "thick": {"AP": 0.52, "AP50": 0.7, "AP75": 0.2, "seconds": 60.0},
}


def test_measured_stands_beside_published_and_what_is_missing_stays_empty():
    lines = ablation_markdown(STUDY, MEASURED).splitlines()
    assert lines[0] == "### Lenses (table 9), mask AP"
    assert lines[2] == "| variant | AP | AP50 | AP75 | minutes | paper AP | paper AP50 | paper AP75 |"
    assert lines[4] == "| thin | 50.0 | 75.0 | 25.0 | 1.5 | 20.0 | 40.0 | 10.0 |"
    assert lines[5] == "| thick | 52.0 | 70.0 | 20.0 | 1.0 | 30.0 |  |  |"
    assert lines[6] == "| none |  |  |  |  | 10.0 |  |  |"


def test_orders_of_the_paper_are_seen_or_not():
    text = ablation_markdown(STUDY, MEASURED | {"none": MEASURED["thick"]})
    assert "thick over thin: seen (+2.0); thin over none: not seen (-2.0); thick over none: not seen (+0.0)." in text
    assert "none to compare yet" in ablation_markdown(STUDY, {})


def test_variants_that_are_equal_in_the_paper_have_no_order():
    equal = STUDY.model_copy(deep=True)
    equal.variants["thick"].published = (20.0,)
    assert "none to compare yet" in ablation_markdown(equal, MEASURED)


def test_the_terminal_shows_the_same_rows():
    console = Console(file=io.StringIO(), width=150)
    console.print(ablation_table(STUDY, MEASURED))
    shown = console.file.getvalue()
    assert "Lenses (table 9), mask AP" in shown
    assert "52.0" in shown
    assert "thick over thin: seen" in shown
