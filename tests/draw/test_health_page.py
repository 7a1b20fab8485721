from maskrcnn.draw.health_page import Figure, Shown, write_page
from maskrcnn.structures.findings import Example, Finding


def page_of(folder, **changes):
    given = {
        "source": "sets/cats & dogs",
        "columns": ("", "pictures"),
        "rows": [("train", "12")],
        "shown": [],
        "command": None,
        "figures": [],
        "foot": "the end",
    }
    write_page(folder / "page.html", **{**given, **changes})
    return (folder / "page.html").read_text()


def test_a_page_names_the_data_and_their_numbers(tmp_path):
    page = page_of(tmp_path)
    assert "<h1>cats &amp; dogs</h1>" in page
    assert "<td>train</td><td>12</td>" in page
    assert "Nothing to say" in page
    assert "0 errors" in page
    assert "Settings that follow" not in page


def test_findings_have_their_words_settings_and_examples(tmp_path):
    examples = (Example("<a>.png: wrong"), Example("b.png"))
    finding = Finding(
        "error", "wrong-sizes", "train: 1.\nval: 2.", "Use `x=<y>`.", 2, examples, ("model.neck.name=c4",)
    )
    page = page_of(tmp_path, shown=[Shown(finding, [None, b"jpeg"])], command="maskrcnn train --data 'a b'")
    assert '<article class="e" id="wrong-sizes">' in page
    assert "train: 1.<br>val: 2." in page
    assert "Use <code>x=&lt;y&gt;</code>." in page
    assert "<code>model.neck.name=c4</code>" in page
    assert "<li>&lt;a&gt;.png: wrong</li>" in page
    assert 'src="data:image/jpeg;base64,anBlZw=="><figcaption>b.png' in page
    assert "1 error</span>" in page
    assert "maskrcnn train --data &#x27;a b&#x27;" in page


def test_figures_are_inside(tmp_path):
    assert '<img alt="sizes" src="data:image/png;base64,cG5n">' in page_of(tmp_path, figures=[Figure(b"png", "sizes")])
