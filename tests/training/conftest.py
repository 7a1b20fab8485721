import pytest

from maskrcnn.data.shapes import write_shapes


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder of 10 drawn images for training and 2 for validation, which tests only read."""
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=10, val=2, size=64, seed=0)
    return folder
