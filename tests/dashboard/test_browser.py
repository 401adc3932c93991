"""The page in a real Chromium: hostile text runs nothing, charts are drawn, values follow, choices act.

Needs the package playwright and a Chromium of the system; playwright's own download is not used.
"""

from __future__ import annotations

import os
import shutil
import statistics

import polars as pl
import pytest

from riverrun.charts.view import Correlation, View
from riverrun.clock import SystemClock
from riverrun.dashboard import Dashboard
from riverrun.runtime.health import StateHealth, StepHealth
from tests.dashboard.driver import MARKET, FakeHealth, Market, key_names

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("RIVERRUN_CHROMIUM") or next(
    (path for name in NAMES if (path := shutil.which(name))), None
)
ENABLE = "to run these: pip install playwright && apt-get install chromium (or set RIVERRUN_CHROMIUM)"

playwright_api = pytest.importorskip("playwright.sync_api", reason=ENABLE, exc_type=ImportError)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=ENABLE)

HOSTILE = [
    "<img src=x onerror=window.hacked=1>",
    "<img src=http://192.0.2.7/x.png>",
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    "<svg/onload=window.hacked=1>",
    '"><svg onload=window.hacked=1>',
    "' onmouseover='window.hacked=1",
    "javascript:window.hacked=1",
    "data:text/html,<script>window.hacked=1</script>",
    "{{7*7}}",
    "${window.hacked=1}",
    "<style>*{background:url(http://192.0.2.7/)}</style>",
    "<link rel=stylesheet href=http://192.0.2.7/x.css>",
    "<iframe srcdoc='<script>top.hacked=1</script>'>",
    "<base href=http://192.0.2.7/>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.7/'>",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "toString",
    "&lt;img src=x onerror=window.hacked=1&gt;",
    "&#60;script&#62;",
    "\\u003cscript\\u003e",
    "%3Cscript%3E",
    "=HYPERLINK(\"http://192.0.2.7/\")",
    "'; DROP TABLE trades; --",
    "../../etc/passwd",
    "CON",
    "a\nb",
    "a\r\n\r\ndata: x",
    "a\tb",
    "\x1b[31mred",
    "\u202eright to left",
    "\u0000nul",
    "\u2028separator",
    "🦀 crab",
    "é and e\u0301",
    "x" * 300,
    "",
    " ",
]  # fmt: skip

#: What the browser does that it should not, gathered from before the first script of the page runs.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => {
  window.violations.push(e.violatedDirective + " " + e.blockedURI);
});
"""

#: Counts pixels that are neither transparent nor grey, in all canvases of an element, through shadow roots.
COLOURED = """
(selector) => {
  const canvases = [];
  const walk = (node) => {
    if (node instanceof HTMLCanvasElement) canvases.push(node);
    for (const child of [...(node.shadowRoot?.children ?? []), ...node.children]) walk(child);
  };
  for (const node of document.querySelectorAll(selector)) walk(node);
  let count = 0;
  for (const canvas of canvases.filter((c) => c.width && c.height)) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      const rgb = [data[i], data[i + 1], data[i + 2]];
      if (data[i + 3] > 100 && Math.max(...rgb) - Math.min(...rgb) > 60) count++;
    }
  }
  return count;
}
"""  # fmt: skip


class Page:
    """A page with a record of everything suspicious."""

    def __init__(self, browser, url, **options):
        self.requests, self.errors, self.url = [], [], url
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.add_init_script(WATCH)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        self.page.goto(url)

    def until(self, expression, argument=None):
        """Wait until it is so. Asked from outside: `wait_for_function` needs eval, which the page forbids."""
        for _ in range(400):
            if self.page.evaluate(expression, argument):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"it never came to be that {expression}")

    def wait_drawn(self):
        self.until("globalThis.riverrun?.stats.draws > 0")
        self.page.wait_for_timeout(400)

    def text(self, selector):
        return self.page.locator(selector).all_inner_texts()

    def assert_clean(self):
        assert self.errors == []
        assert self.page.evaluate("window.violations") == []
        assert self.page.evaluate("window.hacked") is None
        assert [url for url in self.requests if not url.startswith(self.url)] == []


@pytest.fixture(scope="module")
def browser():
    with playwright_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def look(browser):
    pages = []

    def open_page(url, **options):
        pages.append(Page(browser, url, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()


def test_hostile_text_is_shown_and_runs_nothing(serve, look):
    nasty = HOSTILE[0]
    view = View(
        "v",
        nasty,
        "at",
        ("key", nasty),
        ("mean", nasty, "r"),
        (Correlation("r", nasty, HOSTILE[4]),),
        windowed=False,
    )
    served = serve([view])
    served.health.advance(1, 1.0, 1_000_000)
    page = look(served.dashboard.url)
    count = len(HOSTILE)
    for at in range(3):
        frame = {"key": HOSTILE, nasty: HOSTILE[::-1], "at": at * 1_000_000, "mean": 1.0 * at, "r": 0.5}
        served.dashboard.publish("v", pl.DataFrame(frame))
    page.wait_drawn()
    page.until("(n) => document.querySelectorAll('.latest tbody tr').length === n", count)
    page.page.get_by_role("searchbox").focus()
    box = page.page.locator(".plot").first.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.page.mouse.wheel(0, 3_000)
    page.page.wait_for_timeout(800)
    assert page.text(".latest tbody tr:first-child td.key span")[0] == nasty
    assert page.page.evaluate("document.querySelectorAll('img').length") == 1
    assert (
        page.page.evaluate(
            "document.querySelectorAll('main script, main iframe, main link, main style').length"
        )
        == 0
    )
    assert "<img src=x onerror=alert(1)>" in " ".join(page.text("#pipeline code"))
    page.assert_clean()


def test_charts_are_drawn_and_values_follow(served, look):
    market = Market(key_names(5), start_us=1_700_000_000_000_000)
    served.dashboard.publish(MARKET.id, market.steps(200))
    page = look(served.dashboard.url)
    page.wait_drawn()
    page.until(
        f"riverrun.sections[0].charts.filter((chart) => chart.drawn >= 0).length === {len(MARKET.statistics)}"
    )
    page.until(f"(selector) => ({COLOURED})(selector) > 3000", ".plot")
    page.until(f"(selector) => ({COLOURED})(selector) > 200", ".spark-canvas")
    for _ in range(3):
        frame = market.step()
        served.dashboard.publish(MARKET.id, frame)
        wanted = f"{frame['mean'][0]:.2f}"
        page.until(
            "(wanted) => document.querySelector('.latest tbody td.value').textContent === wanted", wanted
        )
    rows = page.text(".heat tbody tr")
    assert [row.split("\t")[i + 1] for i, row in enumerate(rows)] == ["1.00"] * 3
    assert rows[0].split("\t")[2] == rows[1].split("\t")[1]
    page.assert_clean()


def test_late_data_revise_what_is_drawn(served, look):
    market = Market(["A"], start_us=1_700_000_000_000_000)
    frame = market.steps(20)
    served.dashboard.publish(MARKET.id, frame)
    page = look(served.dashboard.url)
    page.wait_drawn()
    late = frame[10].with_columns(mean=pl.lit(1_234.5), revision=pl.lit(1, pl.UInt32), final=pl.lit(True))
    served.dashboard.publish(MARKET.id, late)
    page.until("Math.max(...riverrun.sections[0].charts[0].lines.data_source.data.ys[0]) === 1234.5")
    assert page.page.evaluate("riverrun.store.views[0].entries[0].series.length") == 20
    page.assert_clean()


def test_gaps_are_drawn_as_gaps(served, look):
    market = Market(["A"], start_us=1_700_000_000_000_000)
    frame = market.steps(30)
    holed = pl.concat([frame[:10], frame[20:]]).with_columns(
        mean=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("mean")
    )
    served.dashboard.publish(MARKET.id, holed)
    page = look(served.dashboard.url)
    page.wait_drawn()
    breaks = (
        "riverrun.sections[0].charts[%d].lines.data_source.data.ys[0].filter((y) => Number.isNaN(y)).length"
    )
    page.until("riverrun.sections[0].charts[1].drawn >= 0")
    page.until(f"{breaks % 0} === 2")
    page.until(f"{breaks % 1} === 1")


def test_pausing_loses_nothing_and_the_filter_acts_on_all_panels(served, look):
    market = Market(key_names(6), start_us=1_700_000_000_000_000)
    served.dashboard.publish(MARKET.id, market.steps(30))
    page = look(served.dashboard.url)
    page.wait_drawn()
    page.page.get_by_role("button", name="Pause").click()
    before = page.text(".latest tbody tr")
    last = market.steps(5)
    served.dashboard.publish(MARKET.id, last)
    page.until("document.querySelector('.age').textContent === '1 updates waiting'")
    assert page.text(".latest tbody tr") == before
    page.page.get_by_role("button", name="Resume").click()
    wanted = f"{last['mean'][-6]:.2f}"
    page.until("(wanted) => document.querySelector('.latest tbody td.value').textContent === wanted", wanted)
    assert page.page.evaluate("riverrun.store.views[0].entries[0].series.length") == 35
    page.page.get_by_role("searchbox").fill("goo")
    page.until("document.querySelectorAll('.latest tbody tr').length === 1")
    page.until("riverrun.sections[0].charts.every((c) => !c.lines || c.lines.data_source.data.xs.length === 1)")
    assert page.page.evaluate("location.hash") == "#find=goo"
    page.assert_clean()


def test_the_page_comes_back_after_a_restart(look):
    clock = SystemClock()

    def make(port):
        made = Dashboard(
            ("127.0.0.1", port), title="market", views=[MARKET], health=FakeHealth(clock), clock=clock
        )
        made.start()
        return made

    first = make(0)
    page = look(first.url)
    first.publish(MARKET.id, Market(["A"], start_us=1_700_000_000_000_000).steps(5))
    page.until("globalThis.riverrun?.store.views[0].entries[0]?.series.length === 5")
    first.stop()
    page.until("document.body.classList.contains('is-stale')")
    assert page.text(".state") == ["Connection lost, trying again…"]
    second = make(int(first.url.rstrip("/").rpartition(":")[2]))
    try:
        second.publish(MARKET.id, Market(["A"], start_us=1_700_000_000_000_000).steps(3))
        page.until("riverrun.store.views[0].entries[0]?.series.length === 3 && riverrun.line === 'live'")
        assert not page.page.evaluate("document.body.classList.contains('is-stale')")
    finally:
        second.stop()


def test_an_empty_page_says_what_it_waits_for(served, look):
    page = look(served.dashboard.url)
    page.until("document.querySelector('.empty')?.textContent.startsWith('Waiting for the first rows')")
    assert page.text(".empty") == [
        "Waiting for the first rows from tcp://localhost:9999 (connecting (refused, next try in 2 s))"
    ]
    served.health.advance(0, 1.0, 12_345_678)
    page.until("document.querySelector('.empty').textContent.includes('No window has closed yet')")
    assert page.text(".empty") == [
        "98,400 rows received. No window has closed yet: the first closes when event time passes "
        "1970-01-01 00:00:13; it is 1970-01-01 00:00:12.345 now."
    ]
    page.assert_clean()


def test_from_event_to_pixel(served, look, record_property):
    """How long from `publish` until a chart that holds the value has been painted. Printed with ``-rP``."""
    clock = SystemClock()
    market = Market(key_names(5), start_us=clock.now_us() - 300_000_000)
    served.dashboard.publish(MARKET.id, market.steps(290))
    page = look(served.dashboard.url)
    page.wait_drawn()
    page.page.evaluate(
        """() => {
          window.times = new Map();
          const look = () => {
            const x = riverrun.sections[0].charts[0].x[1];
            // The frame after the data were handed to BokehJS is the one that shows them.
            if (!window.times.has(x)) requestAnimationFrame(() => window.times.set(x, Date.now()));
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    sent = []
    for _ in range(30):
        now_ms = clock.now_us() // 1_000
        frame = market.step().with_columns(
            pl.lit(now_ms * 1_000).cast(pl.Datetime("us", "UTC")).alias("window_end")
        )
        served.dashboard.publish(MARKET.id, frame)
        sent.append(now_ms)
        page.page.wait_for_timeout(170)
    page.until(f"[...window.times.keys()].some((x) => x >= {sent[-1]})")
    seen = page.page.evaluate("[...window.times]")
    # A frame may be skipped when a newer one is there: what counts is when something as new was on screen.
    delays = sorted(min(when for x, when in seen if x >= at) - at for at in sent)
    p50, p95 = statistics.median(delays), delays[int(len(delays) * 0.95)]
    record_property("event_to_pixel_ms", (p50, p95))
    print(f"event to pixel, 6 charts of 5 keys, drawn by the CPU: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    # Far above what a quiet machine shows (0.1 s): this must not fail because others work on the same one.
    assert p50 < 5_000


def test_what_is_on_screen_can_be_downloaded(served, look):
    market = Market(["=1+1", 'a"b'], start_us=1_700_000_000_000_000)
    frame = market.steps(3)
    served.dashboard.publish(MARKET.id, frame)
    page = look(served.dashboard.url)
    page.wait_drawn()
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("symbol,window_end,mean,sd,")
    assert lines[1].startswith(f"'=1+1,2023-11-14T22:13:21.000Z,{frame['mean'][0]},")
    assert lines[4].startswith('"a""b",2023-11-14T22:13:21.000Z,')
    assert len(lines) == 7
    page.assert_clean()


def test_theme_zoom_and_time_range(served, look):
    served.dashboard.publish(MARKET.id, Market(key_names(3), start_us=1_700_000_000_000_000).steps(300))
    page = look(served.dashboard.url, color_scheme="dark")
    page.wait_drawn()
    assert page.page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.page.get_by_label("colours: as the system").click()
    page.until("document.documentElement.dataset.theme === 'light'")
    page.page.get_by_label("time range").select_option("60000")
    page.until("riverrun.sections[0].charts[0].x[1] - riverrun.sections[0].charts[0].x[0] === 60000")
    box = page.page.locator(".plot").first.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=4)
    page.page.mouse.up()
    page.until("Array.isArray(riverrun.span) && riverrun.span[1] - riverrun.span[0] < 30000")
    page.page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.until("riverrun.span === 60000")
    page.assert_clean()


def test_long_names_of_steps_stretch_nothing(serve, look):
    values = ", ".join(f"value_{i}=mean(price * {i})" for i in range(20))
    name = f"aggregate {values} by symbol over tumbling('10s')"
    served = serve([MARKET])
    served.health.extra_steps = (
        StepHealth(name, short="aggregate by symbol, tumbling 10s"),
        StepHealth("filter " + "x" * 200),
    )
    served.health.advance(1, 1.0, 1_000_000)
    page = look(served.dashboard.url)
    page.until("document.querySelectorAll('.plan-box').length > 1")
    page.until("(name) => [...document.querySelectorAll('#pipeline td')].some((td) => td.title === name)", name)
    names = page.page.evaluate("[...document.querySelectorAll('.plan-name')].map((text) => text.textContent)")
    assert names[-4:] == ["aggregate by symbol,", "tumbling 10s", "filter " + "x" * 19, "x" * 25 + "…"]
    for selector, too_wide in (
        ("#pipeline .scroll", "box.scrollWidth > box.clientWidth"),
        (".plan-name", "box.getComputedTextLength() > box.parentNode.children[1].getBBox().width - 12"),
    ):
        found = f"[...document.querySelectorAll('{selector}')].filter((box) => {too_wide})"
        assert page.page.evaluate(f"{found}.map((box) => box.textContent)") == []
    page.assert_clean()


def test_the_state_shows_and_a_full_disk_is_a_clear_warning_until_it_is_over(served, look):
    served.health.advance(1, 1.0, 1_000_000)
    page = look(served.dashboard.url)
    page.until("globalThis.riverrun?.health && riverrun.pipeline.stateCard.hidden")
    served.health.state = StateHealth("/var/state", checkpoints=3, full=True, troubles={HOSTILE[0]: HOSTILE[2]})
    page.until("document.querySelectorAll('.alarm p').length === 2")
    alarm = page.page.get_by_role("alert")
    assert "the disk of /var/state is full" in alarm.inner_text()
    assert HOSTILE[0] in alarm.inner_text()
    assert "the disk is full" in page.page.get_by_role("region", name="State").inner_text()
    served.health.state = StateHealth("/var/state", checkpoints=4)
    page.until("document.querySelector('.alarm').hidden")
    page.assert_clean()
