from io import StringIO

from rich.console import Console, Group

from maskrcnn.evaluation.sections import Section, difference_tables, say_nothing, section_tables, written

BOXES = Section("bbox", "boxes", "rule of boxes", {"AP": 0.5, "AR": None}, {"cat": {"AP": 0.25}, "dog": {"AP": -1.0}})
MASKS = Section("segm", "masks", "rule of masks", {"AP": -1.0}, {"cat": {"AP": 1.0}, "owl": {"AP": 0.0}})
CELLS = Section("cells", "cells", "rule of cells", {"hausdorff": 12.5}, lengths=frozenset({"hausdorff"}))


def rows(*sections: Section) -> list[list[str]]:
    console = Console(file=StringIO(), width=100)
    console.print(Group(*section_tables(sections)))
    return [line.replace(" ", "").strip("│").split("│") for line in console.file.getvalue().splitlines()]


def test_sections_with_the_same_numbers_stand_side_by_side():
    shown = rows(BOXES, MASKS)
    assert ["AP", "50.0", "-"] in shown
    assert ["AR", "-", "-"] in shown
    assert [r for r in shown if r[0] in "catdogowl"] == [
        ["cat", "25.0", "100.0"],
        ["dog", "-", "-"],
        ["owl", "-", "0.0"],
    ]


def test_sections_with_other_numbers_stand_below_one_another():
    shown = rows(MASKS, CELLS)
    assert ["AP", "-"] in shown
    assert ["hausdorff", "12.50px"] in shown


def test_each_rule_is_named():
    assert {("boxes:ruleofboxes.",), ("cells:ruleofcells.",)} <= set(map(tuple, rows(BOXES, CELLS)))


def test_rows_are_called_what_they_are():
    domains = Section(
        "bbox", "boxes", "rule", {"AP": 0.5}, {"sketch": {"AP": 1.0}, "tattoo": {"AP": 0.0}}, row="domain"
    )
    assert ["Bydomain"] in rows(domains)
    assert any(row[0].strip("┃").startswith("domain┃AP") for row in rows(domains))
    assert ["Byclass"] in rows(BOXES)


def test_a_single_class_has_no_rows():
    one = Section("bbox", "boxes", "rule", {"AP": 0.5}, {"nucleus": {"AP": 0.5}})
    assert not any("nucleus" in row[0] for row in rows(one))


def test_nothing_to_find_is_a_dash_and_nothing_found_is_zero():
    assert [written(BOXES, "AP", value) for value in (None, -1.0, 0.0)] == ["-", "-", "0.0"]


def test_two_runs_stand_side_by_side_where_both_have_the_rule():
    better = Section("bbox", "boxes", "rule of boxes", {"AP": 0.75, "AR": 0.5})
    console = Console(file=StringIO(), width=100)
    console.print(Group(*difference_tables([BOXES, MASKS], [better], ("old", "new"))))
    shown = [line.replace(" ", "").strip("│").split("│") for line in console.file.getvalue().splitlines()]
    assert ["AP", "50.0", "75.0", "+25.0"] in shown
    assert ["AR", "-", "50.0", "-"] in shown
    assert "masks" not in console.file.getvalue()


def test_nobody_has_to_listen():
    assert say_nothing("masks") is None


def test_a_section_of_one_class_needs_no_rows():
    assert Section("bbox", "boxes", "rule", {"AP": 0.5}).per_class == {}
