import numpy as np
import pytest
import scipy.io

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.voc import is_sbd, read_sbd
from maskrcnn.errors import DataError
from tests.builders.voc import write_sbd


@pytest.mark.parametrize("inside", [".", "dataset", "benchmark_RELEASE/dataset"])
def test_each_number_is_an_object_of_its_class(tmp_path, inside):
    write_sbd(tmp_path / inside, "train", {"2008_2": [(12, (0, 0, 10, 5)), (8, (20, 10, 10, 10))], "2008_1": []})
    assert recognize(tmp_path) == "sbd"
    data = read_dataset(tmp_path)
    assert [record.path.name for record in data.records] == ["2008_1.jpg", "2008_2.jpg"]
    objects = data.records[1].instances
    assert objects.boxes.tolist() == [[0, 0, 10, 5], [20, 10, 30, 20]]
    assert [data.classes.names[label] for label in objects.labels] == ["dog", "cat"]
    assert data.without_mask == 0
    assert not is_sbd(tmp_path, "val")


def test_missing_and_broken_files_are_named(tmp_path):
    write_sbd(tmp_path, "val", {"a": [(21, (0, 0, 5, 5))]})
    file = tmp_path / "inst" / "a.mat"
    assert "a.mat: object 1: its class is 21" in read_sbd(tmp_path).skipped[0]
    file.write_bytes(b"nothing of MATLAB's")
    with pytest.raises(DataError, match="a.mat: "):
        read_sbd(tmp_path)
    scipy.io.savemat(file, {"GTcls": {"Segmentation": np.zeros((3, 3))}})
    with pytest.raises(DataError, match="a.mat: .*GTinst"):
        read_sbd(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match="a.mat: "):
        read_sbd(tmp_path)
