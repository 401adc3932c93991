// The correlation matrix of one group: symmetric, 1 on the diagonal, colours fixed to [-1, 1].

import { correlationColor } from "./colors.js";
import { el, setChildren, setText, whenSeen } from "./dom.js";
import { instant, number } from "./format.js";

export class Heatmap {
  constructor(app, view) {
    this.app = app;
    this.view = view;
    this.seen = false;
    this.chosen = null;
    this.names = [...new Set(view.correlations.flatMap(({ x, y }) => [x, y]))];
    this.#build();
    whenSeen(this.element, (seen) => {
      this.seen = seen;
      if (seen) this.app.invalidate();
    });
  }

  #build() {
    this.select = el("select", {
      "aria-label": "group of the correlation matrix",
      onchange: () => {
        this.chosen = this.select.value;
        this.drawn = -1;
        this.app.invalidate();
      },
    });
    this.when = el("span", { class: "muted num" });
    this.cells = new Map();
    const head = el("tr", {}, el("td"), this.names.map((name) => el("th", { scope: "col", title: name }, el("span", { text: name }))));
    const rows = this.names.map((x, i) =>
      el("tr", {}, el("th", { scope: "row", title: x }, el("span", { text: x })), this.names.map((y, j) => this.#cell(x, y, i, j))),
    );
    const scale = el("div", { class: "scale", "aria-hidden": "true" }, ...[-1, -0.5, 0, 0.5, 1].map((r) => this.#swatch(r)));
    this.scale = scale;
    this.element = el(
      "section",
      { class: "card heat-card" },
      el("div", { class: "card-head" }, el("h3", { text: "Correlation" }), this.view.keys.length ? this.select : "", this.when),
      el("div", { class: "scroll" }, el("table", { class: "heat" }, el("thead", {}, head), el("tbody", {}, rows))),
      scale,
    );
  }

  #swatch(r) {
    return el("span", { class: "scale-step num", text: number(r, 1), "data-r": String(r) });
  }

  #cell(x, y, i, j) {
    const cell = el("td", { class: "num" });
    const pair = this.view.correlations.find((c) => (c.x === x && c.y === y) || (c.x === y && c.y === x));
    this.cells.set(cell, { column: pair && i !== j ? this.view.column(pair.statistic) : -1, diagonal: i === j, x, y });
    return cell;
  }

  draw(stamp) {
    if (!this.seen || this.drawn === stamp) return;
    this.drawn = stamp;
    const entries = this.app.shown(this.view).filter((entry) => entry.series.length);
    this.#fillSelect(entries);
    const entry = entries.find(({ label }) => label === this.chosen) ?? entries[0];
    const time = entry ? entry.series.times[entry.series.length - 1] : NaN;
    setText(this.when, entry ? instant(time, this.app.now()) : "");
    for (const [cell, place] of this.cells) this.#paint(cell, place, entry);
    for (const step of this.scale.children) {
      const { fill, ink } = correlationColor(Number(step.dataset.r), this.app.theme);
      Object.assign(step.style, { background: fill, color: ink });
    }
  }

  #paint(cell, { column, diagonal, x, y }, entry) {
    const r = diagonal ? 1 : entry && column >= 0 ? entry.series.latest(column) : NaN;
    const { fill, ink } = correlationColor(r, this.app.theme);
    setText(cell, number(r, 2));
    cell.title = `${x} and ${y}: ${number(r, 4)}`;
    cell.style.background = fill;
    cell.style.color = ink;
  }

  #fillSelect(entries) {
    const labels = entries.map(({ label }) => label);
    if (this.options?.join("\u0000") === labels.join("\u0000")) return;
    this.options = labels;
    setChildren(this.select, labels.map((label) => el("option", { value: label, text: label })));
    if (labels.includes(this.chosen)) this.select.value = this.chosen;
  }
}
