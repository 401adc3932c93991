// One statistic as lines over time, drawn by BokehJS. The rest of the page knows only this small adapter:
// init, push (draw), theme, crosshair.

import { CHART } from "./colors.js";
import { el, setClass, setText, whenSeen } from "./dom.js";
import { decimalsFor, number } from "./format.js";
import { thin } from "./thin.js";

export class Chart {
  constructor(app, view, statistic, item) {
    this.app = app;
    this.view = view;
    this.statistic = statistic;
    this.column = view.column(statistic);
    this.item = item;
    this.seen = false;
    this.drawn = -1;
    this.drawnAt = 0;
    this.x = [0, 1];
    this.y = null;
    this.#build();
  }

  #build() {
    this.plot = el("div", { class: "plot", tabindex: "0", role: "img", "aria-label": `${this.statistic} over time` });
    this.cross = el("div", { class: "crosshair", hidden: true });
    this.band = el("div", { class: "band", hidden: true });
    this.nothing = el("p", { class: "no-data", text: "no values in this time range", hidden: true });
    this.now = el("span", { class: "chart-now num" });
    this.element = el(
      "figure",
      { class: "card chart" },
      el("figcaption", {}, el("h3", { text: this.statistic }), this.now),
      el("div", { class: "plot-box" }, this.plot, this.cross, this.band, this.nothing),
    );
    whenSeen(this.element, (seen) => {
      this.seen = seen;
      if (seen) this.app.invalidate();
    });
    this.#listen();
  }

  // Made when first seen: a chart far down the page costs nothing, and BokehJS wants to know its size.
  async init() {
    if (this.made) return;
    this.made = true;
    const views = await Bokeh.embed.embed_item(this.item, this.plot);
    this.bokeh = [...views][0];
    this.model = this.bokeh.model;
    this.lines = this.model.renderers[0];
    this.theme();
    new ResizeObserver(() => this.redraw()).observe(this.plot);
  }

  theme() {
    if (!this.model) return;
    const { text, grid } = CHART[this.app.theme];
    const font = "system-ui, sans-serif";
    for (const axis of [...this.model.below, ...this.model.left]) {
      axis.setv({ major_label_text_color: text, major_label_text_font: font, major_label_text_font_size: "11px" });
    }
    for (const one of this.model.center) one.setv({ grid_line_color: one.dimension === 1 ? grid : null });
    this.redraw();
  }

  redraw() {
    this.drawn = -1;
    this.drawnAt = 0;
    this.app.invalidate();
  }

  // Whether it is on screen and shows less than is known.
  wants(stamp) {
    if (!this.seen || this.drawn === stamp) return false;
    if (!this.model && !this.view.empty) this.init();
    return this.model !== undefined;
  }

  push(stamp, now) {
    this.drawn = stamp;
    this.drawnAt = now;
    const [from, to] = (this.x = this.app.rangeOf(this.view));
    const entries = this.#drawOrder();
    // Where lines cover each other anyway, every second or fourth pixel will do.
    const coarse = entries.length > 60 ? 4 : entries.length > 10 ? 2 : 1;
    const pixels = Math.max(50, this.bokeh.frame.bbox.width / coarse);
    // Wider lines cost the browser several times as much to draw as those of one pixel.
    const thinnest = entries.length > 6 ? 1 : 1.4;
    const data = { xs: [], ys: [], color: [], alpha: [], width: [] };
    let low = Infinity;
    let high = -Infinity;
    for (const entry of entries) {
      const line = thin(entry.series, this.column, from, to, pixels, this.view.gap(entry.series));
      if (!line.xs.length) continue;
      const faded = this.app.focus !== null && this.app.focus !== entry.label;
      data.xs.push(line.xs);
      data.ys.push(line.ys);
      data.color.push(this.app.colorOf(entry.label));
      data.alpha.push(faded ? 0.16 : 1);
      data.width.push(this.app.focus === entry.label ? 2.2 : thinnest);
      low = Math.min(low, line.low);
      high = Math.max(high, line.high);
    }
    this.model.x_range.setv({ start: from, end: to });
    if (low <= high) this.#fitY(low, high);
    this.lines.data_source.data = data;
    this.nothing.hidden = data.xs.length > 0;
    this.#showNow();
  }

  #drawOrder() {
    const entries = this.app.shown(this.view);
    const focus = this.app.focus;
    // The key under the pointer goes on top of the others.
    return focus === null ? entries : [...entries.filter((e) => e.label !== focus), ...entries.filter((e) => e.label === focus)];
  }

  // Follows the lines, but not every twitch: an axis that moves all the time cannot be read.
  #fitY(low, high) {
    const pad = (high - low || Math.abs(high) * 0.02 || 1) * 0.08;
    const [start, end] = [low - pad, high + pad];
    const old = this.y;
    const fits = old && low >= old[0] && high <= old[1] && end - start > 0.7 * (old[1] - old[0]);
    if (!fits) {
      this.y = [start, end];
      this.model.y_range.setv({ start, end });
    }
  }

  #showNow() {
    const entries = this.app.shown(this.view);
    const value = entries.length === 1 ? entries[0].series.latest(this.column) : NaN;
    setText(this.now, Number.isFinite(value) ? number(value) : "");
  }

  // --- pointer and keyboard ---

  #listen() {
    let start = null;
    const timeAt = (event) => this.#time(event.clientX - this.plot.getBoundingClientRect().left);
    this.plot.addEventListener("pointermove", (event) => {
      this.app.point({ chart: this, time: timeAt(event), clientX: event.clientX, clientY: event.clientY });
      if (start !== null) this.#showBand(start, event);
    });
    this.plot.addEventListener("pointerleave", () => this.app.point(null));
    this.plot.addEventListener("blur", () => this.app.point(null));
    this.plot.addEventListener("pointerdown", (event) => {
      if (event.button || event.pointerType === "touch") return;
      start = event.clientX;
      this.plot.setPointerCapture(event.pointerId);
    });
    this.plot.addEventListener("pointerup", (event) => {
      const left = this.plot.getBoundingClientRect().left;
      if (start !== null && Math.abs(event.clientX - start) > 6) {
        this.app.zoom(...[start, event.clientX].map((x) => this.#time(x - left)).sort((a, b) => a - b));
      }
      start = null;
      this.band.hidden = true;
    });
    this.plot.addEventListener("dblclick", () => this.app.zoom(null));
    this.plot.addEventListener("keydown", (event) => this.#step(event));
  }

  #showBand(start, event) {
    const left = this.plot.getBoundingClientRect().left;
    const [a, b] = [start - left, event.clientX - left].sort((x, y) => x - y);
    this.band.hidden = b - a < 6;
    this.band.style.left = `${a}px`;
    this.band.style.width = `${b - a}px`;
  }

  #step(event) {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.app.zoom(null);
    const series = this.app.shown(this.view)[0]?.series;
    if (!direction || !series?.length) return;
    event.preventDefault();
    const from = this.app.pointed?.time ?? series.times[series.length - 1];
    const at = Math.min(series.length - 1, Math.max(0, series.place(from) + (this.app.pointed ? direction : 0)));
    const box = this.plot.getBoundingClientRect();
    this.app.point({ chart: this, time: series.times[at], clientX: box.left + this.#pixel(series.times[at]), clientY: box.top + 40 });
  }

  #frame() {
    return this.bokeh?.frame.bbox ?? { left: 0, width: 1, top: 0, height: 1 };
  }

  #time(x) {
    const { left, width } = this.#frame();
    return this.x[0] + ((x - left) / width) * (this.x[1] - this.x[0]);
  }

  #pixel(time) {
    const { left, width } = this.#frame();
    return left + ((time - this.x[0]) / (this.x[1] - this.x[0])) * width;
  }

  // The value under a clientY, to tell which line is nearest.
  valueAt(clientY) {
    const { top, height } = this.#frame();
    const { start, end } = this.model.y_range;
    return end - ((clientY - this.plot.getBoundingClientRect().top - top) / height) * (end - start);
  }

  crosshair(time) {
    const { left, width, top, height } = this.#frame();
    const x = time === null ? NaN : this.#pixel(time);
    const inside = this.seen && x >= left - 1 && x <= left + width + 1;
    this.cross.hidden = !inside;
    if (!inside) return;
    this.cross.style.transform = `translateX(${Math.round(x)}px)`;
    this.cross.style.top = `${top}px`;
    this.cross.style.height = `${height}px`;
  }
}

// What is under the pointer: the values of all keys at one instant, as a small table beside it.
export class Tooltip {
  constructor(app) {
    this.app = app;
    this.element = el("div", { class: "tooltip", hidden: true, role: "status" });
    document.body.append(this.element);
  }

  show(pointed, when) {
    const rows = pointed ? this.#rows(pointed) : [];
    this.element.hidden = rows.length === 0;
    if (!rows.length) return null;
    const decimals = decimalsFor(rows.map((row) => row.value));
    const target = pointed.chart.valueAt(pointed.clientY);
    const nearest = rows.reduce((best, row) => (Math.abs(row.value - target) < Math.abs(best.value - target) ? row : best));
    const most = 12;
    const at = Math.max(0, Math.min(rows.indexOf(nearest) - 5, rows.length - most));
    const part = rows.slice(at, at + most);
    this.element.replaceChildren(
      el("div", { class: "tooltip-time num", text: when(nearest.time) }),
      ...part.map((row) => this.#row(row, decimals, rows.length > 1 && row === nearest)),
      rows.length > most ? el("div", { class: "tooltip-more", text: `${rows.length - most} more` }) : "",
    );
    this.#place(pointed);
    return nearest.label;
  }

  #row({ label, value, note }, decimals, near) {
    const swatch = el("i", { class: "swatch" });
    swatch.style.background = this.app.colorOf(label);
    const row = el(
      "div",
      { class: "tooltip-row" },
      swatch,
      el("span", { class: "tooltip-key", text: label }),
      note ? el("small", { text: note }) : "",
      el("b", { class: "num", text: number(value, decimals) }),
    );
    setClass(row, "near", near);
    return row;
  }

  #rows({ chart, time }) {
    const rows = [];
    for (const entry of this.app.shown(chart.view)) {
      const { series, label } = entry;
      const at = nearestPoint(series, time);
      if (at < 0) continue;
      const value = series.columns[chart.column][at];
      const far = Math.abs(series.times[at] - time) > Math.max(series.usualStep() * 0.75, (chart.x[1] - chart.x[0]) / 60);
      if (value !== value || (far && Number.isFinite(series.usualStep()))) continue;
      const note = series.revisions[at] ? `rev. ${series.revisions[at]}` : series.final[at] ? "" : "early";
      rows.push({ label, value, note, time: series.times[at] });
    }
    return rows.sort((a, b) => b.value - a.value);
  }

  #place({ clientX, clientY }) {
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = clientX + 16 + width > innerWidth - 8 ? clientX - 16 - width : clientX + 16;
    const top = Math.max(8, Math.min(clientY - height / 2, innerHeight - height - 8));
    this.element.style.transform = `translate(${Math.round(Math.max(8, left))}px, ${Math.round(top)}px)`;
  }
}

export function nearestPoint(series, time) {
  const at = series.place(time);
  if (!series.length) return -1;
  if (at === series.length) return at - 1;
  if (at === 0) return 0;
  return time - series.times[at - 1] < series.times[at] - time ? at - 1 : at;
}
