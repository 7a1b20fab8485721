from maskrcnn.weights.renames import rename, rename_known

TABLE = [(r"head\.(\d)\.", lambda m: f"heads.{int(m[1]) + 1}."), (r"head\.", "rest.")]


def test_the_first_rule_that_fits_the_start_of_a_name_counts():
    assert rename("head.2.weight", TABLE) == "heads.3.weight"
    assert rename("head.weight", TABLE) == "rest.weight"


def test_only_the_start_is_looked_at_and_replaced_once():
    assert rename("body.head.2.weight", TABLE) is None
    assert rename("head.head.weight", TABLE) == "rest.head.weight"


def test_names_without_a_rule_stay():
    assert rename_known({"head.0.bias": 1, "body.bias": 2}, TABLE) == {"heads.1.bias": 1, "body.bias": 2}
