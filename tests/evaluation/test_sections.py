from maskrcnn.evaluation.sections import Section, say_nothing


def test_nobody_has_to_listen():
    assert say_nothing("masks") is None


def test_a_section_of_one_class_needs_no_rows():
    assert Section("bbox", "boxes", "rule", {"AP": 0.5}).per_class == {}
