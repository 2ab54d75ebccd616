"""The site in a real browser: `make test-site`."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from .conftest import AXE, ROOT

PLAYGROUNDS = ("one_weight", "rounding", "quantizers")
# A page of each kind.
PAGES = (
    *("index.html", "README.html", "ledger.html", "theory/README.html", "theory/05_clustering.html"),
    *("notebooks/00_quickstart.html", "notebooks/howto.html", "notebooks/results.html"),
    *("reference/index.html", "reference/core.html", "reference/commands.html", "methods/psgd-to-w2.html"),
    *("source/psgd_ref/core/warp.py.html", "search.html"),
    *(f"playgrounds/{name}.html" for name in PLAYGROUNDS),
)
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# A folder for screenshots; where one is given, every page is looked at in every width and theme.
PICTURES = os.environ.get("PSGD_REF_PICTURES")
LOOKS = [(390, "light"), (390, "dark"), (800, "light"), (1440, "light")]
if PICTURES:
    LOOKS += [(800, "dark"), (1440, "dark")]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_moves_and_nothing_is_cut_off(reader, page):
    for width, theme in LOOKS:
        look = reader(width, dark=theme == "dark")
        opened = look.open(page)
        opened.wait_for_timeout(150)
        assert opened.evaluate("window.shifted") < 0.01, (width, theme)
        wide = opened.evaluate(WIDER)
        assert wide <= 0, f"{page} is {wide} pixels wider than {width}"
        if PICTURES:
            name = f"{page.replace('/', '-').removesuffix('.html')}-{width}-{theme}.png"
            opened.screenshot(path=Path(PICTURES) / name, full_page=True)
        look.context.close()


@pytest.mark.parametrize("page", ["README.html", "notebooks/results.html", "notebooks/05_rivals.html"])
def test_images_that_come_late_move_nothing(reader, page):
    look = reader(390)

    def late(route):
        time.sleep(0.3)
        route.continue_()

    look.context.route("**/*.png", late)
    opened = look.open(page)
    assert opened.locator("img").count()
    opened.wait_for_timeout(500)
    assert opened.evaluate("window.shifted") < 0.01
    ratios = "[...document.images].map((i) => i.naturalWidth / i.naturalHeight / (i.width / i.height))"
    assert all(abs(ratio - 1) < 0.02 for ratio in opened.evaluate(ratios))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast_and_labels(reader, page, dark):
    opened = reader(dark=dark).open(page)
    opened.evaluate(AXE.read_text(encoding="utf-8"))
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = opened.evaluate("(rules) => axe.run(document, rules)", rules)["violations"]
    said = [
        (v["id"], len(v["nodes"]), v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"][:300])
        for v in found
    ]
    assert said == []


def test_mathematics_is_set(reader):
    page = reader().open("theory/05_clustering.html")
    assert page.locator(".katex-display").count() >= 8
    assert "$" not in page.locator("article p").first.inner_text()
    box = page.locator(".katex-display .katex-html").first.bounding_box()
    assert box["height"] > 15
    assert page.evaluate("document.fonts.check('16px KaTeX_Math')")
    assert page.locator(".katex-error").count() == 0


@pytest.mark.parametrize(
    ("words", "wanted"), [("λ*", "theory/"), ("lsq", "methods/lsq"), ("E5", "theory/05")]
)
def test_search_finds(reader, words, wanted):
    page = reader().open("search.html")
    page.fill("input[name=q] >> visible=true", words)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li")
    page.wait_for_timeout(500)
    links = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any(wanted in link for link in links[:10]), links[:10]


def numbers(page):
    return page.locator("table.numbers td").all_inner_texts()


def drawn(page):
    return page.evaluate("[...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())")


@pytest.mark.parametrize("name", PLAYGROUNDS)
@pytest.mark.parametrize("width", [390, 1440])
def test_sliders_move_the_picture_and_the_numbers_by_keyboard(reader, name, width):
    page = reader(width).open(f"playgrounds/{name}.html")
    page.wait_for_selector("table.numbers")
    sliders = page.locator("input[type=range]")
    for k in range(sliders.count()):
        before = numbers(page), drawn(page), page.locator(".control output").nth(k).inner_text()
        sliders.nth(k).focus()
        at_the_end = sliders.nth(k).evaluate("slider => slider.value === slider.min")
        page.keyboard.press("End" if at_the_end else "Home")
        after = numbers(page), drawn(page), page.locator(".control output").nth(k).inner_text()
        for part, (old, new) in enumerate(zip(before, after, strict=True)):
            assert old != new, (k, part)


def number(page, name):
    return float(page.locator(f"[data-number={name}]").first.inner_text().split()[0].replace("−", "-"))


def test_the_cloud_is_where_the_law_says(reader):
    page = reader().open("playgrounds/one_weight.html")
    assert number(page, "error") == pytest.approx(number(page, "law"), rel=0.1)
    # Decay to the grid gathers the weights closer, and the law says so too.
    spread = number(page, "error")
    page.get_by_label("weight decay κ").focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="Take 5000 steps").click()
    assert number(page, "error") == pytest.approx(number(page, "law"), rel=0.1)
    assert number(page, "error") < spread


def test_accuracies_are_those_that_were_measured(reader):
    found = json.loads((ROOT / "notebooks/demo/rounding.json").read_text(encoding="utf-8"))
    page = reader().open("playgrounds/rounding.html")
    page.wait_for_selector("table.numbers")
    cells = page.locator("[data-number=accuracy]")
    bits, share = (page.locator("input[type=range]").nth(k) for k in (0, 1))
    share.focus()
    for i in reversed(range(len(found["shares"]))):
        j = int(bits.input_value())
        wanted = [f"{m['accuracy'][i][j]:.1f} ± {m['spread'][i][j]:.1f}" for m in found["methods"]]
        assert cells.all_inner_texts() == wanted
        page.keyboard.press("ArrowLeft")


def test_two_quantizers_that_are_one_differ_nowhere(reader):
    page = reader().open("playgrounds/quantizers.html")
    page.wait_for_selector("table.numbers")
    assert number(page, "differ") > 0
    assert number(page, "most") > 0
    one, other = page.locator("select").nth(0), page.locator("select").nth(1)
    other.select_option(one.input_value())
    assert number(page, "differ") == number(page, "most") == 0


@pytest.mark.parametrize("name", PLAYGROUNDS)
def test_keyboard_order_is_that_of_the_page(reader, name):
    page = reader().open(f"playgrounds/{name}.html")
    page.wait_for_selector("table.numbers")
    wanted = "#playground :is(input, select, button, canvas[tabindex])"
    count = page.locator(wanted).count()
    page.locator(wanted).first.focus()
    seen = []
    for _ in range(count):
        at = "(wanted) => [...document.querySelectorAll(wanted)].indexOf(document.activeElement)"
        seen.append(page.evaluate(at, wanted))
        page.keyboard.press("Tab")
    assert seen == list(range(count))


def test_the_first_tab_skips_to_the_content(reader):
    page = reader().open("ledger.html")
    page.keyboard.press("Tab")
    assert "skip" in page.evaluate("document.activeElement.innerText").lower()


def test_motion_only_where_it_is_welcome(reader):
    page = reader(still=True).open("playgrounds/one_weight.html")
    before = numbers(page)
    page.wait_for_timeout(400)
    assert numbers(page) == before
    moving = reader(still=False).open("playgrounds/one_weight.html")
    before = numbers(moving)
    moving.wait_for_timeout(1500)
    assert numbers(moving) != before
    moving.get_by_role("button", name="Pause").click()
    before = numbers(moving)
    moving.wait_for_timeout(300)
    assert numbers(moving) == before


def test_integers_on_hover_and_by_keys(reader):
    page = reader().open("playgrounds/rounding.html")
    canvas = page.locator("canvas").first
    before = page.locator(".hover").first.inner_text()
    canvas.hover(position={"x": 40, "y": 100})
    assert page.locator(".hover").first.inner_text() != before
    canvas.focus()
    before = page.locator(".hover").first.inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".hover").first.inner_text() != before


def test_the_ledger_is_searched(reader):
    page = reader().open("ledger.html")
    rows = page.locator("article tbody tr >> visible=true")
    all_rows = rows.count()
    page.get_by_label("Show claims with").fill("decay grid")
    assert 0 < rows.count() < all_rows
    assert re.match(rf"{rows.count()} of {all_rows} claims", page.locator(".filter output").inner_text())


def test_names_claims_and_symbols_in_text_are_links(reader):
    page = reader().open("theory/differences.html")
    for kind in ("claim", "symbol"):
        assert page.locator(f"article a.{kind}").count() > 5, kind
    page = reader().open("notebooks/howto.html")
    assert page.locator("article a.name").count() > 2


def test_from_the_landing_page_to_the_integers(reader):
    """As a new user: a network of one's own, 4 bits, the integers."""
    page = reader(390).open("index.html")
    page.get_by_role("link", name=re.compile("network of your own")).first.click()
    page.wait_for_url("**/howto.html#round-a-network-of-your-own")
    text = page.locator("#round-a-network-of-your-own").inner_text()
    assert "pr.quantize(model, bits=4)" in text
    assert ".codes" in text
