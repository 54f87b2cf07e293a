"""The report in a real browser: Chromium without a window, opened from disk."""

import importlib.util
import os
import shutil

import pytest

from tests.helpers.fake_report import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
WIDTHS = (390, 768, 1440)
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Right": "\ue014", "Space": " "}
CONTRAST = """
const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = ([red, green, blue]) =>
  0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = parts(getComputedStyle(element).backgroundColor);
    if (colour.length === 3) return colour;
    if (colour[3] > 0) throw new Error(`see-through ground: ${element.outerHTML.slice(0, 80)}`);
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || element.closest(".vh, .hint, script, dialog:not([open])")) continue;
  if (!element.checkVisibility()) continue;
  const [text, behind] = [luminance(parts(getComputedStyle(element).color)), luminance(ground(element))];
  const ratio = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
  found.push([ratio, `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`]);
}
return found.sort((a, b) => a[0] - b[0]);
"""  # noqa: E501


def lacking():
    """Returns which of the programs that these tests need are not there."""
    there = {
        "selenium": importlib.util.find_spec("selenium"),
        "chromium": CHROMIUM,
        "chromedriver": DRIVER,
    }
    return [name for name, found in there.items() if not found]


@pytest.fixture(scope="module")
def browser():
    """Returns Chromium; without it the tests are skipped, or fail if it is required."""
    if lacking():
        reason = f"not installed: {', '.join(lacking())}"
        required = os.environ.get("VPBENCH_REQUIRE_BROWSER") == "1"
        (pytest.fail if required else pytest.skip)(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Returns where the page of the made-up results is."""
    return write_page(tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(browser, path):
    """Returns the browser with the page just opened from disk, 1440 pixels wide."""
    resize(browser, 1440)
    browser.get("about:blank")
    browser.get(path.as_uri())
    yield browser
    browser.execute_script("localStorage.clear()")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def resize(browser, width, height=900):
    """Returns None; the page is now so wide, as on a device."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def one(browser, selector):
    """Returns the element of a CSS selector."""
    return browser.find_element("css selector", selector)


def every(browser, selector):
    """Returns all elements of a CSS selector."""
    return browser.find_elements("css selector", selector)


def texts(browser, selector):
    """Returns the texts of all elements of a CSS selector."""
    return [element.text for element in every(browser, selector)]


def press(browser, key):
    """Returns None; the key went to whatever has the focus, and what it started is done."""
    browser.switch_to.active_element.send_keys(KEYS[key])
    browser.execute_async_script("setTimeout(arguments[0], 20)")


def focus(browser, element):
    """Returns None; `element` has the focus."""
    browser.execute_script("arguments[0].focus()", element)


def column(browser, number):
    """Returns the texts of a column of the runs, of rows that are shown."""
    script = """return [...document.querySelectorAll("#runs tbody tr")]
      .filter((row) => !row.hidden).map((row) => row.cells[arguments[0]].textContent)"""
    return browser.execute_script(script, number)


def is_open(browser, name):
    """Returns whether a dialog is open."""
    return browser.execute_script("return document.getElementById(arguments[0]).open", name)


def test_it_opens_from_disk_without_a_word_on_the_console(page):
    assert page.current_url.startswith("file://")
    assert one(page, "h1").text == "Visual prompts for frozen models"
    assert page.get_log("browser") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen_even_with_all_opened(page, width):
    resize(page, width)
    page.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width == page.execute_script("return innerWidth")
    outside = page.execute_script("""
      return [...document.querySelectorAll("main *, header *, nav *")].filter((one) =>
        !one.closest(".scroll, .vh") && one.checkVisibility()
        && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML)""")
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast(page, scheme):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    page.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(22, 24, 27)") == (scheme == "dark")
    found = page.execute_script(CONTRAST)
    assert len(found) > 200 and found[0][0] >= 4.5, found[0]
    page.execute_script("location.hash = arguments[0]", one(page, "#runs a").get_attribute("hash"))
    found = page.execute_script(CONTRAST)
    assert is_open(page, "run") and found[0][0] >= 4.5, found[0]


def test_what_does_not_appear_is_red_in_light_and_dark(page):
    for _ in range(2):
        one(page, "#theme").click()
        script = "return getComputedStyle(document.querySelector(arguments[0])).color"
        badge = page.execute_script(script, ".badge.verdict-does-not-appear")
        red, green, blue = (int(part) for part in badge[4:-1].split(", "))
        assert red > 1.4 * max(green, blue)


def test_the_reader_chooses_light_or_dark(page):
    colours = []
    for theme in ("light", "dark", "system"):
        one(page, "#theme").click()
        assert one(page, "#theme").text == f"Colours: {theme}"
        script = "return getComputedStyle(document.body).backgroundColor"
        colours.append(page.execute_script(script))
        page.refresh()  # the choice is kept
        assert page.execute_script(script) == colours[-1]
    assert colours[:2] == ["rgb(251, 250, 247)", "rgb(22, 24, 27)"]


def test_every_picture_is_drawn_and_has_alternative_text(page):
    pictures = every(page, "img")
    assert len(pictures) == 2
    for picture in pictures:
        assert picture.get_attribute("alt")
        page.execute_async_script("arguments[0].decode().then(arguments[1])", picture)
        assert int(picture.get_attribute("naturalWidth")) > 0


def test_the_heads_of_the_runs_sort_them_and_say_so(page):
    head = every(page, "#runs thead th")[5]
    focus(page, head.find_element("css selector", "button"))
    press(page, "Enter")
    numbers = list(map(float, column(page, 5)))
    assert numbers == sorted(numbers) and len(set(numbers)) > 3
    assert head.get_attribute("aria-sort") == "ascending"
    press(page, "Space")
    assert list(map(float, column(page, 5))) == sorted(numbers, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    sorted_by = every(page, "#runs th:not([aria-sort=none])[aria-sort]")
    assert sorted_by == [head]


def test_runs_without_a_value_come_last_whichever_way_they_are_sorted(page):
    button = every(page, "#runs thead th button")[8]
    for expected in (["0.5", "10"], ["10", "0.5"]):
        button.click()
        rates = column(page, 8)
        assert rates[:2] == expected and set(rates[2:]) == {"–"}


def test_runs_are_filtered_by_words_and_choices_together(page):
    total = len(column(page, 0))
    one(page, "[name=words]").send_keys("svhn fine_tune")  # a method by its name in the path, too
    assert column(page, 0) == ["SVHN twin"] * 4 and set(column(page, 2)) == {"FT"}
    one(page, "#filters select[data-column='1'] option:nth-child(2)").click()
    assert len(column(page, 0)) == 1
    assert one(page, ".count").text == f"1 of {total} runs"
    one(page, "#filters [type=reset]").click()
    page.execute_async_script("setTimeout(arguments[0], 20)")
    assert len(column(page, 0)) == total and one(page, "#shown").text == str(total)
    one(page, "[name=words]").send_keys("nothing like this")
    assert column(page, 0) == [] and one(page, "#shown").text == "0"


def test_a_run_opens_with_its_curves_and_facts_and_closes_with_escape(page):
    link = one(page, "#runs tbody a")
    focus(page, link)
    press(page, "Enter")
    assert is_open(page, "run")
    assert one(page, "#run h2").text == "TP of clip_micro on CIFAR100 twin variant default, seed 0"
    lines = {line.get_attribute("class"): line for line in every(page, "#run polyline")}
    assert set(lines) == {"series loss", "series train", "series validation", "series test"}
    assert len(lines["series train"].get_attribute("points").split()) == 8
    assert len(lines["series test"].get_attribute("points").split()) == 4  # epochs 2, 4, 6, 8
    said = every(page, "#run svg[role=img]")[1].get_attribute("aria-label")
    assert "test from 18 at epoch 2 to 72 at epoch 8" in said
    text = one(page, "#run").text
    assert "ab" * 32 in text and "</script><script>alert(1)</script>" in text
    assert "last (in the tables)" in text and "4,116" in text
    press(page, "Escape")
    assert not is_open(page, "run")
    assert page.switch_to.active_element == link and page.current_url.endswith("#run-records")


def test_a_curve_is_drawn_to_scale(page):
    page.execute_script("document.querySelector('#runs a').click()")
    page.execute_async_script("setTimeout(arguments[0], 20)")
    train = one(page, "#run polyline.train").get_attribute("points").split()
    (x1, y1), (x2, y2) = (map(float, train[place].split(",")) for place in (0, -1))
    loss = one(page, "#run polyline.loss").get_attribute("points").split()
    assert y1 - y2 == pytest.approx(0.7 * (168 - 10))  # 10 to 80 of 100 %
    assert x2 - x1 == pytest.approx(330 - 34)
    assert float(loss[0].split(",")[1]) == pytest.approx(10)  # 2 of 2: the top


def test_a_link_to_a_run_opens_it_and_one_without_epochs_says_so(browser, path):
    key = "lab/svhn_twin/clip_micro/visual_prompt/lr_40/seed1"
    browser.get("about:blank")
    browser.get(f"{path.as_uri()}#run/{key}")
    assert is_open(browser, "run")
    assert "This method has no epochs" in one(browser, "#run").text
    assert f"Record: {key}.json" in one(browser, "#run").text


def test_a_figure_is_enlarged_with_enter_and_closed_with_escape(page):
    button = one(page, "#figure3 .enlarge")
    focus(page, button)
    press(page, "Enter")
    assert is_open(page, "lightbox") and one(page, "#lightbox h2").text == "Figure 3"
    assert one(page, "#lightbox img").get_attribute("alt") == "Figure 3. What figure3 shows."
    press(page, "Right")
    assert one(page, "#lightbox h2").text == "Prompt gallery"
    assert one(page, "#lightbox .caption").text.startswith("What prompt_gallery shows.")
    one(page, "#lightbox [data-zoom]").click()
    assert one(page, "#lightbox img").size["width"] == 600
    press(page, "Escape")
    assert not is_open(page, "lightbox") and page.switch_to.active_element == button


def test_claims_are_filtered_by_their_verdict(page):
    chip = one(page, ".chip[data-verdict='does not appear']")
    everything = texts(page, ".claims > li:not([hidden]) .badge")
    still = "undecided (still rising)"
    findings = ["appears", "does not appear", still, "undecided", "not run"]
    assert everything == [*findings, "appears"]  # the last is not counted
    chip.click()
    assert texts(page, ".claims > li:not([hidden]) .badge") == ["does not appear"]
    assert chip.get_attribute("aria-pressed") == "true"
    chip.click()
    assert texts(page, ".claims > li:not([hidden]) .badge") == everything
    assert chip.get_attribute("aria-pressed") == "false"


def test_the_keyboard_reaches_the_results_first_and_shows_where_it_is(page):
    press(page, "Tab")
    skip = page.switch_to.active_element
    assert skip.text == "Skip to the results" and skip.rect["y"] >= 0
    assert page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", skip) != "none"
    press(page, "Enter")
    assert page.switch_to.active_element.get_attribute("id") == "main"


def test_contents_are_folded_on_a_phone_and_open_on_a_desk(page):
    script = "return document.querySelector('.contents details').open"
    assert page.execute_script(script)
    resize(page, 390)
    page.execute_async_script("setTimeout(arguments[0], 50)")
    assert not page.execute_script(script)


def test_in_print_the_page_is_light_and_without_its_controls(page):
    one(page, "#theme").click()
    one(page, "#theme").click()  # dark
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert page.execute_script(script, "h1", "color") == "rgb(31, 32, 35)"
    for selector in ("#theme", ".contents", "#filters", ".chips"):
        assert page.execute_script(script, selector, "display") == "none"
