// The page: takes what comes over the line, keeps what the viewer has chosen, draws at most once per frame.

import { Tooltip } from "./chart.js";
import { keyColor } from "./colors.js";
import { Connection } from "./connection.js";
import { el, setText } from "./dom.js";
import { instant, keyLabel } from "./format.js";
import { Header } from "./header.js";
import { Pipeline, Tiles } from "./health.js";
import { Section } from "./section.js";
import { Store } from "./store.js";

const CHART_MS = 50; // shortest time between two drawings of one chart
const CHARTS_PER_FRAME = 3; // so that the pointer is never kept waiting for all of them
const CHART_MS_SLOW = 2_000;
const SLOW_MS = 50; // a frame that takes longer than this is felt
const TABLE_MS = 240;
const ALL = keyLabel([]);
const THEMES = ["auto", "light", "dark"];

class App {
  constructor(page) {
    this.page = page;
    this.store = new Store(page);
    this.hidden = new Set();
    this.query = "";
    this.focus = null;
    this.pointed = null;
    this.span = "all";
    this.paused = false;
    this.waiting = 0;
    this.line = "connecting";
    this.health = null;
    this.serverAhead = 0;
    this.arrivals = [];
    this.stamp = 0;
    this.chartEvery = CHART_MS;
    this.colors = new Map();
    this.costs = [];
    this.stats = { draws: 0, deltas: 0, drawMs: 0 };
    this.#readLink();
    this.#followTheme();
  }

  async start() {
    this.header = new Header(this, this.page);
    this.tiles = new Tiles();
    this.pipeline = new Pipeline(this);
    this.tooltip = new Tooltip(this);
    this.sections = this.store.views.map((view) => new Section(this, view, this.page.charts.filter((chart) => chart.view === view.id)));
    document.getElementById("top").replaceChildren(this.header.element);
    document.getElementById("main").replaceChildren(this.pipeline.alarm, this.tiles.element, ...this.sections.map((s) => s.element), this.pipeline.element, this.#footer());
    document.title = `${this.page.title} · riverrun`;
    document.addEventListener("visibilitychange", () => this.invalidate());
    setInterval(() => this.#everySecond(), 1_000);
    this.connection = new Connection({
      snapshot: (data) => this.#take(data, (d) => this.store.applySnapshot(d)),
      delta: (data) => this.#take(data, (d) => this.store.applyDelta(d)),
      health: (data) => this.#takeHealth(data),
      state: (state) => {
        this.line = state;
        this.header.draw();
      },
    });
    this.connection.open();
    this.invalidate();
  }

  #footer() {
    this.foot = el("p", { class: "foot muted" });
    return this.foot;
  }

  // --- what comes in ---

  #take(data, apply) {
    apply(data);
    this.serverAhead = data.now / 1000 - Date.now();
    if (data.views.some((part) => part.t?.length)) this.arrivals.push(performance.now());
    else if (!this.arrivals.length && this.store.views.some((view) => !view.empty)) this.arrivals.push(performance.now());
    if (this.arrivals.length > 20) this.arrivals.shift();
    this.stats.deltas++;
    if (this.paused) this.waiting++;
    else this.changed();
  }

  #takeHealth(health) {
    this.health = health;
    this.healthFresh = true;
    this.invalidate();
  }

  // --- when to draw ---

  changed() {
    this.stamp++;
    this.invalidate();
  }

  invalidate() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.#frame(performance.now());
    });
  }

  #frame(now) {
    if (this.header && this.sections && !document.hidden) {
      if (!this.paused && this.healthFresh) this.#drawHealth();
      this.#drawCharts(now);
      if (now - (this.restAt ?? 0) >= TABLE_MS) this.#drawRest(now);
      else this.#later(TABLE_MS - (now - this.restAt));
    }
  }

  // Look again after so long, or earlier if somebody else asked for that.
  #later(ms) {
    const due = performance.now() + Math.max(0, ms);
    if (this.timer && this.timerDue <= due) return;
    clearTimeout(this.timer);
    this.timerDue = due;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.invalidate();
    }, ms);
  }

  #drawCharts(now) {
    const charts = this.sections.flatMap((section) => section.charts);
    const wanting = charts.filter((chart) => chart.wants(this.stamp)).sort((a, b) => a.drawnAt - b.drawnAt);
    const due = wanting.filter((chart) => now - chart.drawnAt >= this.chartEvery).slice(0, CHARTS_PER_FRAME);
    for (const chart of due) chart.push(this.stamp, now);
    if (due.length < wanting.length) due.length ? this.invalidate() : this.#later(this.chartEvery - (now - wanting[0].drawnAt));
    if (!due.length) return;
    this.stats.draws += due.length;
    this.#crosshairs();
    // The drawing itself happens in BokehJS' own frame: what it costs is known at that frame's end.
    const seen = charts.filter((chart) => chart.seen).length;
    const pushed = performance.now() - now;
    requestAnimationFrame((start) => setTimeout(() => this.#pace(performance.now() - start + pushed, seen / due.length)));
  }

  // ms: what one frame with charts costs. When it is felt, drawing leaves the viewer a third of the time.
  #pace(ms, framesPerRound) {
    this.costs.push(ms);
    if (this.costs.length > 9) this.costs.shift();
    // The median: one late frame says more about the machine than about us.
    this.stats.drawMs = [...this.costs].sort((a, b) => a - b)[this.costs.length >> 1];
    const round = 1.5 * this.stats.drawMs * framesPerRound;
    this.chartEvery = this.stats.drawMs > SLOW_MS ? Math.min(CHART_MS_SLOW, Math.max(CHART_MS, round)) : CHART_MS;
  }

  #drawRest(now) {
    this.restAt = now;
    for (const section of this.sections) {
      section.draw();
      section.drawRest(this.stamp);
    }
  }

  #drawHealth() {
    this.healthFresh = false;
    this.tiles.draw(this.health);
    this.pipeline.draw(this.health);
    const { dashboard } = this.health;
    const notes = ["riverrun", "all times in UTC", `${dashboard.viewers} ${dashboard.viewers === 1 ? "viewer" : "viewers"}`];
    if (dashboard.thinned_rows) notes.push("more rows than a screen can show: each key keeps an even share of them");
    if (dashboard.dropped_rows) notes.push(`${dashboard.dropped_rows} rows not shown: the dashboard could not keep up`);
    setText(this.foot, notes.join(" · "));
  }

  #everySecond() {
    this.header.draw();
    this.header.fillSpans();
    this.header.drawKeys();
  }

  // --- time ---

  now() {
    return Date.now() + this.serverAhead;
  }

  dataAge() {
    return this.arrivals.length ? performance.now() - this.arrivals.at(-1) : null;
  }

  // How long a silence is normal, judged by the ones before.
  patience() {
    const steps = this.arrivals.slice(1).map((at, i) => at - this.arrivals[i]);
    return Math.max(10_000, 5 * Math.max(0, ...steps));
  }

  extent() {
    const filled = this.store.views.filter((view) => !view.empty);
    const steps = filled.flatMap((view) => view.entries.slice(0, 5).map((entry) => entry.series.usualStep())).filter(Number.isFinite);
    const spans = filled.map((view) => view.newest - view.oldest);
    return { step: steps.length ? Math.min(...steps) : 1, span: Math.max(0, ...spans) };
  }

  // All charts share one range, unless a view lives in another time altogether.
  rangeOf(view) {
    if (Array.isArray(this.span)) return this.span;
    const filled = this.store.views.filter((one) => !one.empty);
    const newest = Math.max(...filled.map((one) => one.newest));
    const oldest = Math.min(...filled.map((one) => one.oldest));
    const apart = filled.some((one) => one.newest < oldest || one.oldest > view.newest || one.newest < view.oldest);
    const end = apart ? view.newest : newest;
    if (this.span !== "all") return [end - this.span, end];
    const start = apart ? view.oldest : oldest;
    return end > start ? [start, end] : [start - 500, end + 500];
  }

  chooseSpan(value) {
    this.span = value === "all" ? "all" : Number(value);
    this.#chosen();
  }

  zoom(from, to) {
    if (from === null) {
      if (!Array.isArray(this.span)) return;
      this.span = this.spanBefore ?? "all";
    } else {
      if (!Array.isArray(this.span)) this.spanBefore = this.span;
      this.span = [from, to];
    }
    this.#chosen();
  }

  // --- keys ---

  labels() {
    return [...new Set(this.store.views.flatMap((view) => view.entries.map((entry) => entry.label)))];
  }

  matches(label) {
    return !this.query || label.toLowerCase().includes(this.query);
  }

  isShown(label) {
    return !this.hidden.has(label) && this.matches(label);
  }

  shown(view) {
    if (view.entries.length < 2) return view.entries;
    return view.entries.filter(({ label }) => this.isShown(label));
  }

  find(text) {
    this.query = text.trim().toLowerCase();
    this.#chosen();
  }

  toggleKey(label) {
    if (!this.hidden.delete(label)) this.hidden.add(label);
    this.#chosen();
  }

  showAll(all) {
    for (const label of this.labels().filter((one) => this.matches(one))) all ? this.hidden.delete(label) : this.hidden.add(label);
    this.#chosen();
  }

  showOnly(label) {
    this.hidden = new Set(this.labels().filter((one) => one !== label));
    this.#chosen();
  }

  setFocus(label) {
    if (this.focus === label) return;
    this.focus = label;
    for (const section of this.sections) for (const chart of section.charts) chart.redraw();
  }

  // One key has one colour in all panels.
  colorOf(label) {
    if (label === ALL) return keyColor(0, this.theme);
    if (!this.colors.has(label)) this.colors.set(label, this.colors.size);
    return keyColor(this.colors.get(label), this.theme);
  }

  // --- pointer ---

  point(pointed) {
    this.pointed = pointed;
    if (this.pointing) return;
    this.pointing = true;
    requestAnimationFrame(() => {
      this.pointing = false;
      this.#crosshairs();
    });
  }

  #crosshairs() {
    for (const section of this.sections) for (const chart of section.charts) chart.crosshair(this.pointed ? this.pointed.time : null);
    this.tooltip.show(this.pointed, (time) => instant(Math.round(time)));
  }

  // --- choices ---

  togglePause() {
    this.paused = !this.paused;
    this.waiting = 0;
    this.header.draw();
    if (!this.paused) this.changed();
  }

  nextTheme() {
    this.themeChoice = THEMES[(THEMES.indexOf(this.themeChoice) + 1) % THEMES.length];
    this.#applyTheme();
    this.#chosen();
  }

  #followTheme() {
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.#applyTheme());
    this.#applyTheme();
  }

  #applyTheme() {
    this.theme = this.themeChoice === "auto" ? (this.dark.matches ? "dark" : "light") : this.themeChoice;
    document.documentElement.dataset.theme = this.theme;
    for (const section of this.sections ?? []) section.theme();
    this.healthFresh = this.health !== null;
    this.header?.draw();
  }

  #chosen() {
    this.#writeLink();
    this.header.fillSpans();
    this.header.drawKeys();
    this.restAt = 0;
    for (const section of this.sections) for (const chart of section.charts) chart.drawnAt = 0;
    this.changed();
  }

  // The choices stand in the address, so that a link shows the same.
  #readLink() {
    const link = new URLSearchParams(location.hash.slice(1));
    const span = link.get("last");
    if (span > 0) this.span = Number(span);
    this.query = (link.get("find") ?? "").toLowerCase();
    this.themeChoice = THEMES.includes(link.get("theme")) ? link.get("theme") : "auto";
  }

  #writeLink() {
    const link = new URLSearchParams();
    if (typeof this.span === "number") link.set("last", this.span);
    if (this.query) link.set("find", this.query);
    if (this.themeChoice !== "auto") link.set("theme", this.themeChoice);
    history.replaceState(null, "", link.size ? `#${link}` : location.pathname);
  }
}

async function boot() {
  try {
    const answer = await fetch("/api/page", { cache: "no-store" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const app = new App(await answer.json());
    globalThis.riverrun = app;
    await app.start();
  } catch (error) {
    document.getElementById("main").replaceChildren(el("p", { class: "empty", text: `The page could not start: ${error.message}` }));
    throw error;
  }
}

boot();
