import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.structures.rle import all_fill, check_counts, counts_from_text, crop_from_counts


def random_bitmaps(n: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 40, (n, 2))
    return [(generator.random(size) < generator.random()).astype(np.uint8) for size in sizes]


def test_counts_of_a_bitmap_worked_out_by_hand():
    bitmap = np.array([[0, 1, 1], [0, 1, 0]], dtype=np.uint8)
    text = oracle.encode(np.asfortranarray(bitmap))["counts"]
    assert counts_from_text(text).tolist() == [2, 3, 1]


def test_any_bitmap_comes_back_from_its_text():
    for bitmap in random_bitmaps(200):
        counts = counts_from_text(oracle.encode(np.asfortranarray(bitmap))["counts"])
        check_counts(counts, bitmap.shape)
        x, y, window = crop_from_counts(counts, bitmap.shape)
        assert bitmap.sum() == window.sum()
        assert (bitmap[y : y + window.shape[0], x : x + window.shape[1]] == window).all()
        if window.size:
            assert all(edge.any() for edge in (window[0], window[-1], window[:, 0], window[:, -1]))


def test_runs_of_length_nought_are_read():
    counts = np.array([0, 2, 0, 1, 3, 0])
    x, y, window = crop_from_counts(counts, (2, 3))
    assert (x, y, window.tolist()) == (0, 0, [[True, True], [True, False]])


def test_a_run_that_goes_on_in_the_next_column_fills_the_height():
    x, y, window = crop_from_counts(np.array([6, 3, 7]), (4, 4))
    assert (x, y, window.astype(int).tolist()) == (1, 0, [[0, 1], [0, 0], [1, 0], [1, 0]])


def test_a_run_down_to_the_edge_stays_apart_from_the_next_column():
    x, y, window = crop_from_counts(np.array([6, 2, 2, 2, 4]), (4, 4))
    assert (x, y, window.all(), window.shape) == (1, 2, True, (2, 2))


def test_a_mask_without_pixels_has_an_empty_crop():
    assert crop_from_counts(np.array([12]), (3, 4)).bitmap.shape == (0, 0)


@pytest.mark.parametrize("text", [b"", b"abc\x00", b"0o", b"ooooooooo0", "é".encode()])
def test_text_that_is_no_rle_is_refused(text: bytes):
    with pytest.raises(ValueError, match="RLE|run"):
        counts_from_text(text)


def test_runs_that_do_not_fill_the_image_are_refused():
    with pytest.raises(ValueError, match="5.*2 x 3"):
        check_counts(np.array([2, 3]), (2, 3))
    with pytest.raises(ValueError, match="-1"):
        check_counts(np.array([7, -1]), (2, 3))


def is_sound(text: str, size: tuple[int, int]) -> bool:
    """What `all_fill` says of one mask, found slowly."""
    try:
        check_counts(counts_from_text(text.encode("ascii")), size)
    except ValueError:
        return False
    return True


def test_many_masks_are_checked_at_once_as_each_of_them_is():
    bitmaps = random_bitmaps(50)
    texts = [oracle.encode(np.asfortranarray(bitmap))["counts"].decode() for bitmap in bitmaps]
    pixels = np.array([bitmap.size for bitmap in bitmaps])
    assert all_fill(texts, pixels)
    assert all_fill([], pixels[:0])
    generator = np.random.default_rng(1)
    said = []
    for _ in range(2000):
        chosen = int(generator.integers(len(texts)))
        letters = list(texts[chosen])
        for place in generator.integers(0, len(letters), generator.integers(1, 3)):
            letters[place] = chr(int(generator.integers(40, 120)))
        damaged = "".join(letters[: int(generator.integers(0, len(letters) + 1)) or None])
        changed = [*texts[:chosen], damaged, *texts[chosen + 1 :]]
        said.append(all_fill(changed, pixels))
        assert said[-1] == is_sound(damaged, bitmaps[chosen].shape)
    assert 0 < sum(said) < len(said)


@pytest.mark.parametrize("text", ["", "0", "ooooooooo0", "é6", "`6\x00", "`6o"])
def test_one_broken_mask_among_many_is_seen(text: str):
    assert all_fill(["`6", "`6"], np.array([208, 208])) == is_sound("`6", (16, 13))
    assert not all_fill(["`6", text, "`6"], np.array([208, 208, 208]))


def test_a_broken_mask_does_not_borrow_from_its_neighbors():
    assert all_fill(["04", "22"], np.array([4, 4]))
    assert not all_fill(["03", "32"], np.array([4, 4]))
    assert not all_fill(["0T", "422"], np.array([4, 4]))


def test_a_run_has_seven_characters_at_most():
    text, pixels = b"PPPPPP2", 2**31
    assert counts_from_text(text).tolist() == [pixels]
    assert all_fill([text.decode()], np.array([pixels]))
    with pytest.raises(ValueError, match="run"):
        counts_from_text(b"P" + text)
    assert not all_fill(["P" + text.decode()], np.array([pixels << 5]))
