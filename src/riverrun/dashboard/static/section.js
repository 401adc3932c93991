// One view: its charts, its latest values, its correlations; or why there is nothing to show yet.

import { Chart } from "./chart.js";
import { el, setChildren, setClass, setText } from "./dom.js";
import { download } from "./download.js";
import { instant, number } from "./format.js";
import { Heatmap } from "./heatmap.js";
import { LatestTable } from "./table.js";

const LEGEND_MAX = 14;

export class Section {
  constructor(app, view, charts) {
    this.app = app;
    this.view = view;
    this.charts = charts.map(({ statistic, item }) => new Chart(app, view, statistic, item));
    this.table = new LatestTable(app, view);
    this.heatmap = view.correlations.length ? new Heatmap(app, view) : null;
    this.legend = el("div", { class: "legend", role: "group", "aria-label": "keys" });
    this.empty = el("p", { class: "empty" });
    this.chips = new Map();
    const csv = el("button", { type: "button", class: "small", text: "CSV", title: "download what is on screen", onclick: () => download(app, view) });
    const grid = el("div", { class: `charts of-${Math.min(3, this.charts.length)}` }, this.charts.map((chart) => chart.element));
    this.body = el("div", { class: "view-body" }, grid, el("div", { class: this.heatmap ? "pair" : "single" }, this.table.element, this.heatmap?.element));
    this.element = el(
      "section",
      { class: "view" },
      el("div", { class: "view-head" }, el("h2", { text: view.title }), this.legend, csv),
      this.empty,
      this.body,
    );
  }

  theme() {
    for (const chart of this.charts) chart.theme();
    this.chips.clear();
  }

  draw() {
    this.#drawEmpty();
    this.#drawLegend();
  }

  drawRest(stamp) {
    this.table.draw(stamp);
    this.heatmap?.draw(stamp);
  }

  #drawEmpty() {
    const empty = this.view.empty;
    if (this.body.hidden !== empty) {
      this.empty.hidden = !empty;
      this.body.hidden = empty;
      if (!empty) for (const chart of this.charts) chart.redraw();
    }
    if (empty) setText(this.empty, this.#reason());
  }

  #reason() {
    const { health } = this.app;
    if (!health) return "Waiting for the pipeline…";
    const received = health.sources.reduce((sum, source) => sum + source.received, 0);
    if (!received) {
      const from = health.sources.map((source) => `${source.url} (${source.status})`).join(", ");
      return `Waiting for the first rows from ${from || "the source"}`;
    }
    if (!this.view.windowed) return `${number(received)} rows received; no result yet.`;
    const marks = health.sources.map((source) => source.watermark_us).filter((mark) => mark !== null);
    if (!marks.length) return `${number(received)} rows received. No window has closed yet: event time is not known so far.`;
    const mark = Math.min(...marks);
    const { every_us: every } = this.view;
    const closes = every
      ? `the first closes when event time passes ${instant((Math.floor(mark / every) + 1) * (every / 1000))}`
      : "the first closes when event time passes its end";
    return `${number(received)} rows received. No window has closed yet: ${closes}; it is ${instant(mark / 1000)} now.`;
  }

  #drawLegend() {
    if (this.view.entries.length < 2) return setChildren(this.legend, []);
    const labels = this.view.entries.map((entry) => entry.label).filter((label) => this.app.matches(label));
    const shown = labels.slice(0, LEGEND_MAX).map((label) => this.#chip(label));
    if (labels.length > LEGEND_MAX) {
      this.more ??= el("button", { type: "button", class: "chip more", onclick: () => this.app.header.search.focus() });
      setText(this.more, `+ ${number(labels.length - LEGEND_MAX)} keys`);
      shown.push(this.more);
    }
    setChildren(this.legend, shown);
  }

  #chip(label) {
    let chip = this.chips.get(label);
    if (!chip) {
      const swatch = el("i", { class: "swatch" });
      swatch.style.background = this.app.colorOf(label);
      chip = el(
        "button",
        {
          type: "button", class: "chip", title: label,
          onclick: () => this.app.toggleKey(label),
          onpointerenter: () => this.app.setFocus(label),
          onpointerleave: () => this.app.setFocus(null),
        },
        swatch,
        el("span", { text: label }),
      );
      this.chips.set(label, chip);
    }
    const on = this.app.isShown(label);
    if (chip.getAttribute("aria-pressed") !== String(on)) chip.setAttribute("aria-pressed", String(on));
    setClass(chip, "off", !on);
    return chip;
  }
}
