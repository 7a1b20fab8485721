from maskrcnn.analysis.faults import find_faults
from maskrcnn.analysis.worst import describe_errors, worst_images, worst_report, worst_table
from tests.builders.scoring import found, shown, truth_of

CAT, DOG = 1, 2
BOX, APART = [0, 0, 20, 10], [50, 50, 20, 10]
OBJECTS = [(1, CAT, BOX, 0), (2, CAT, BOX, 0), (2, DOG, APART, 0), (3, CAT, BOX, 0), (4, CAT, [0, 0, 90, 90], 1)]
RECORDS = [
    found(1, CAT, BOX, 0.9),
    found(2, DOG, BOX, 0.8),
    found(2, CAT, [0, 80, 5, 5], 0.7),
    found(3, CAT, BOX, 0.3),
    found(3, CAT, APART, 0.2),
    found(4, CAT, BOX, 0.9),
]


def worst_of(objects=OBJECTS, records=RECORDS, *, score=0.5, most=10):
    truth = truth_of(*objects, count=4)
    return truth, worst_images(truth, find_faults(truth, records, "bbox"), score, most)


def test_images_come_by_their_number_of_errors_and_those_without_are_left_out():
    _, worst = worst_of()
    assert [(one.image_id, one.errors) for one in worst] == [(2, 3), (3, 1)]
    assert worst[0].faults == ["classification", "background"]
    assert worst[0].detections == [1, 2]
    assert worst[0].assigned == [1, -1]
    assert worst[0].missed == [2]
    assert worst[1].missed == [3]


def test_a_lower_score_shows_more_detections():
    _, worst = worst_of(score=0.1)
    assert [(one.image_id, one.errors) for one in worst] == [(2, 3), (3, 1)]
    assert worst[1].faults == ["right", "background"]
    assert worst[1].missed == []


def test_only_so_many_are_named():
    assert len(worst_of(most=1)[1]) == 1
    assert worst_of(most=0)[1] == []


def test_detections_in_a_crowd_are_no_errors():
    objects = [*OBJECTS, (4, DOG, [0, 95, 5, 5], 0)]
    _, worst = worst_of(objects)
    assert worst[-1].image_id == 4
    assert worst[-1].faults == ["ignored"]
    assert worst[-1].errors == 1


def test_words_say_what_went_wrong_the_most_frequent_first():
    truth, worst = worst_of()
    words = describe_errors(truth, RECORDS, worst[0])
    assert words == "missed 1 (class 2); wrong class 1 (class 2 for class 1); background 1 (class 1)"
    many = [(1, 1 + n % 2, [4 * n, 0, 3, 3], 0) for n in range(5)]
    truth, worst = worst_of(many, [found(1, CAT, [0, 50 + 9 * n, 5, 5], 0.9) for n in range(6)])
    assert describe_errors(truth, [found(1, CAT, BOX, 0.9)] * 6, worst[0]) == (
        "background 6 (6 class 1); missed 5 (3 class 1, 2 class 2)"
    )


def test_where_there_is_one_class_its_name_is_not_said():
    truth = truth_of((1, 1, BOX, 0), classes=1)
    worst = worst_images(truth, find_faults(truth, [], "bbox"), 0.5, 3)
    assert describe_errors(truth, [], worst[0]) == "missed 1"


def test_the_table_names_images_by_their_files_where_known():
    truth, worst = worst_of()
    report = worst_report(truth, RECORDS, worst)
    assert report[0]["image_id"] == 2
    text = shown(worst_table([{**report[0], "image": "two.png"}, *report[1:]], 0.5))
    assert "two.png" in text
    assert "image 3" in text
    assert "score of 0.50" in text
