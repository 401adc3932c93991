// The latest value of every statistic, one row per key: sorts, ticks, shows where each has come from.

import { calm, el, setChildren, setText, whenSeen } from "./dom.js";
import { decimalsFor, instant, keyLabel, number } from "./format.js";

const SPARK_POINTS = 60;
const FLASH_MS = 350;

export class LatestTable {
  constructor(app, view) {
    this.app = app;
    this.view = view;
    this.rows = new Map();
    this.flashing = new Set();
    this.sort = null;
    this.seen = false;
    this.body = el("tbody");
    this.head = el("tr");
    this.note = el("p", { class: "note", hidden: true });
    this.element = el(
      "section",
      { class: "card table-card" },
      el("div", { class: "card-head" }, el("h3", { text: "Latest values" })),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Latest values" }, el("table", { class: "latest" }, el("thead", {}, this.head), this.body)),
      this.note,
    );
    this.columns = this.#columns();
    this.#buildHead();
    whenSeen(this.element, (seen) => {
      this.seen = seen;
      if (seen) this.app.invalidate();
    });
  }

  #columns() {
    const { keys, statistics, columns, correlations } = this.view;
    const others = columns.filter((name) => !statistics.includes(name));
    const names = [...statistics, ...(statistics.length + others.length <= 8 ? others : [])].slice(0, 24);
    return [
      ...(keys.length ? keys : ["key"]).map((name, i) => ({ name, kind: "key", i })),
      { name: this.view.time, kind: "time" },
      ...names.map((name) => ({ name, kind: "value", i: this.view.column(name), correlation: correlations.some((c) => c.statistic === name) })),
    ];
  }

  #buildHead() {
    const heads = this.columns.map((column) => {
      const button = el("button", { type: "button", text: column.name, title: `sort by ${column.name}`, onclick: () => this.#sortBy(column) });
      column.head = el("th", { class: column.kind, scope: "col" }, button);
      return column.head;
    });
    const first = this.view.statistics[0] ?? this.view.columns[0];
    this.head.append(...heads, el("th", { class: "spark", scope: "col", text: first ? `${first}, recent` : "" }));
  }

  #sortBy(column) {
    const again = this.sort?.column === column;
    if (again && this.sort.direction === (column.kind === "value" ? 1 : -1)) this.sort = null;
    else this.sort = { column, direction: again ? -this.sort.direction : column.kind === "value" ? -1 : 1 };
    for (const one of this.columns) {
      if (this.sort?.column === one) one.head.setAttribute("aria-sort", this.sort.direction > 0 ? "ascending" : "descending");
      else one.head.removeAttribute("aria-sort");
    }
    this.drawn = -1;
    this.app.invalidate();
  }

  draw(stamp) {
    if (!this.seen || this.drawn === stamp) return;
    this.drawn = stamp;
    const entries = this.#sorted(this.app.shown(this.view).filter((entry) => entry.series.length));
    const decimals = this.columns.map((column) => (column.kind === "value" ? decimalsFor(entries.map((e) => e.series.latest(column.i))) : 0));
    setChildren(this.body, entries.map((entry) => this.#row(entry, decimals)));
    this.#showNote();
  }

  #sorted(entries) {
    if (!this.sort) return entries;
    const { column, direction } = this.sort;
    const value = {
      key: (entry) => entry.parts[column.i] ?? "",
      time: (entry) => entry.series.times[entry.series.length - 1],
      value: (entry) => entry.series.latest(column.i),
    }[column.kind];
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : (a === a) - (b === b) || a - b);
    return [...entries].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x !== x || y !== y) return (x !== x) - (y !== y);
      return direction * compare(x, y);
    });
  }

  #row(entry, decimals) {
    const { series } = entry;
    let row = this.rows.get(entry.label);
    if (!row) this.rows.set(entry.label, (row = this.#newRow(entry)));
    const last = series.length - 1;
    this.columns.forEach((column, i) => {
      if (column.kind === "time") setText(row.cells[i], instant(series.times[last], this.app.now()));
      if (column.kind === "value") this.#tick(row, i, series.latest(column.i), decimals[i], column);
    });
    row.swatch.style.background = this.app.colorOf(entry.label);
    this.#drawSpark(row, entry);
    return row.element;
  }

  #newRow(entry) {
    const swatch = el("i", { class: "swatch" });
    const cells = this.columns.map((column) => {
      if (column.kind !== "key") return el("td", { class: `${column.kind} num` });
      const text = this.view.keys.length ? keyLabel([entry.parts[column.i]]) : "all";
      return el("td", { class: "key", title: text }, column.i === 0 ? swatch : "", el("span", { text }));
    });
    const spark = el("canvas", { class: "spark-canvas", "aria-hidden": "true" });
    const element = el(
      "tr",
      { onpointerenter: () => this.app.setFocus(entry.label), onpointerleave: () => this.app.setFocus(null) },
      cells,
      el("td", { class: "spark" }, spark),
    );
    return { element, cells, swatch, spark, values: [] };
  }

  #tick(row, i, value, decimals, column) {
    const before = row.values[i];
    const cell = row.cells[i];
    setText(cell, number(value, column.correlation ? 3 : decimals));
    row.values[i] = value;
    if (before === undefined || !(before < value || before > value) || calm.matches) return;
    this.#flash(cell, value > before ? "up" : "down");
  }

  // On and off, without a fade: fading hundreds of cells keeps the whole page busy.
  #flash(cell, kind) {
    cell.classList.remove("up", "down");
    cell.classList.add(kind);
    this.flashing.add(cell);
    this.flashTimer ??= setTimeout(() => {
      for (const one of this.flashing) one.classList.remove("up", "down");
      this.flashing.clear();
      this.flashTimer = null;
    }, FLASH_MS);
  }

  #drawSpark(row, { series, label }) {
    const column = this.view.column(this.view.statistics[0] ?? this.view.columns[0]);
    const { spark } = row;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [96, 20];
    if (spark.width !== width * ratio) [spark.width, spark.height] = [width * ratio, height * ratio];
    const pen = spark.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (column < 0) return;
    const values = series.columns[column].subarray(Math.max(0, series.length - SPARK_POINTS), series.length);
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) if (value === value) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (low > high) return;
    const x = (i) => 2 + (i / Math.max(1, values.length - 1)) * (width - 6);
    const y = (value) => (high === low ? height / 2 : height - 3 - ((value - low) / (high - low)) * (height - 6));
    pen.strokeStyle = pen.fillStyle = this.app.colorOf(label);
    pen.lineWidth = 1.3;
    pen.lineJoin = "round";
    pen.beginPath();
    let down = false;
    values.forEach((value, i) => {
      if (value === value) down ? pen.lineTo(x(i), y(value)) : pen.moveTo(x(i), y(value));
      down = value === value;
    });
    pen.stroke();
    const end = values[values.length - 1];
    if (end === end) {
      pen.beginPath();
      pen.arc(x(values.length - 1), y(end), 2, 0, 7);
      pen.fill();
    }
  }

  #showNote() {
    const { hiddenKeys, entries } = this.view;
    this.note.hidden = !hiddenKeys;
    if (hiddenKeys) setText(this.note, `The first ${entries.length} keys are shown; ${number(hiddenKeys)} more are counted in the totals only.`);
  }
}
