// How the pipeline itself is doing: tiles at the top; sources, steps and rejected rows at the bottom.

import { el, setChildren, setClass, setText } from "./dom.js";
import { bytes, clock, day, duration, instant, number, percent, short } from "./format.js";
import { Plan } from "./plan.js";

const HISTORY = 120;
const ACCOUNTS = ["applied", "late", "dead_lettered", "shed", "duplicate", "in_flight"];

export class Tiles {
  constructor() {
    this.tiles = new Map();
    this.rates = [];
    this.element = el("section", { class: "tiles", "aria-label": "Key figures" });
    for (const name of ["Rows/s", "Rows", "Results", "Lag", "Watermark", "Late", "Duplicate", "Shed", "Rejected", "Latency p50", "Latency p99", "Memory"]) {
      const value = el("b", { class: "num" });
      const detail = el("small", { class: "num" });
      const tile = el("div", { class: "tile" }, el("span", { text: name }), value, detail);
      this.tiles.set(name, { tile, value, detail });
      this.element.append(tile);
    }
    this.spark = el("canvas", { class: "tile-spark", "aria-hidden": "true" });
    this.tiles.get("Rows/s").tile.append(this.spark);
  }

  draw(health) {
    const { sources } = health;
    const sum = (pick) => sources.reduce((total, source) => total + (pick(source) || 0), 0);
    const received = sum((s) => s.received);
    const rate = sum((s) => s.rows_per_s);
    const late = sum((s) => s.late);
    const rejected = sum((s) => s.dead_lettered);
    const lags = sources.map((s) => s.lag_ms).filter((lag) => lag !== null);
    const marks = sources.map((s) => s.watermark_us).filter((mark) => mark !== null);
    const mark = marks.length ? Math.min(...marks) / 1000 : NaN;
    this.rates.push(rate);
    if (this.rates.length > HISTORY) this.rates.shift();
    this.#set("Rows/s", short(rate), sources.length > 1 ? `${sources.length} sources` : "");
    this.#set("Rows", short(received), sum((s) => s.bytes) ? bytes(sum((s) => s.bytes)) : "");
    this.#set("Results", short(health.results), `up ${duration((health.now_us - health.started_us) / 1000)}`);
    // Years of lag mean that history is being replayed, which is no fault.
    const lag = lags.length ? Math.max(...lags) : NaN;
    this.#set("Lag", duration(lag), lag > 86_400_000 ? "replaying history" : lags.length ? (lag < 0 ? "ahead of the clock" : "behind the clock") : "");
    this.#set("Watermark", Number.isFinite(mark) ? clock(mark) : "–", Number.isFinite(mark) ? `${day(mark)} UTC` : "");
    this.#set("Late", short(late), percent(late, received), late > 0);
    // Most sources have none of these ever: they show once there are some.
    for (const [name, count] of [["Duplicate", sum((s) => s.duplicate)], ["Shed", sum((s) => s.shed)]]) {
      this.#set(name, short(count), percent(count, received), name === "Shed");
      this.tiles.get(name).tile.hidden = count === 0;
    }
    this.#set("Rejected", short(rejected), percent(rejected, received), rejected > 0);
    this.#set("Latency p50", duration(health.latency_ms_p50), "row in → result out");
    this.#set("Latency p99", duration(health.latency_ms_p99), "last minute");
    this.#set("Memory", bytes(health.memory_bytes), "");
    this.#drawSpark();
  }

  #set(name, value, detail, warn = false) {
    const tile = this.tiles.get(name);
    setText(tile.value, value);
    setText(tile.detail, detail ?? "");
    setClass(tile.tile, "warn", warn);
  }

  #drawSpark() {
    const { spark, rates } = this;
    const { clientWidth: width, clientHeight: height } = spark;
    const ratio = devicePixelRatio || 1;
    if (!width) return;
    if (spark.width !== width * ratio) [spark.width, spark.height] = [width * ratio, height * ratio];
    const pen = spark.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const high = Math.max(...rates, 1e-9);
    const x = (i) => width - ((rates.length - 1 - i) / (HISTORY - 1)) * width;
    const y = (rate) => height - 1 - (rate / high) * (height - 3);
    pen.beginPath();
    rates.forEach((rate, i) => pen.lineTo(x(i), y(rate)));
    pen.strokeStyle = getComputedStyle(spark).color;
    pen.lineWidth = 1.3;
    pen.stroke();
    pen.lineTo(width, height);
    pen.lineTo(x(0), height);
    pen.globalAlpha = 0.14;
    pen.fillStyle = pen.strokeStyle;
    pen.fill();
  }
}

export class Pipeline {
  constructor(app) {
    this.app = app;
    this.plan = new Plan(app);
    this.sources = table(["Source", "Status", "Rows/s", "Received", "Applied", "Late", "Duplicate", "Shed", "Rejected", "In flight", "Accounts", "Watermark", "Lag"], 2);
    this.steps = table(["Step", "Rows in", "Rows out", "In/s", "Out/s", "Late", "State rows", "Load"], 1);
    this.rejected = table(["When", "Source", "Reason", "Where", "Row (x: letter, 0: digit)"], 5);
    this.reasons = el("p", { class: "reasons" });
    this.rejectedCard = card("Rejected rows", this.reasons, scroll(this.rejected.element, "Rejected rows"));
    this.stepsCard = card("Steps", scroll(this.steps.element, "Steps"));
    this.planCard = card("Plan", this.plan.element);
    this.state = table(["State folder", "Start", "Last checkpoint", "Took", "Wrote", "Checkpoints", "Journal records", "Not synced", "Not in checkpoint", "Results waiting"], 2);
    this.stateCard = card("State", scroll(this.state.element, "State"));
    this.alarm = el("div", { class: "alarm", role: "alert", hidden: true });
    this.element = el(
      "section",
      { class: "view", id: "pipeline" },
      el("div", { class: "view-head" }, el("h2", { text: "Pipeline" }), el("span", { class: "muted", text: "where rows come from, where they go, what they cost" })),
      this.planCard,
      card("Sources", scroll(this.sources.element, "Sources")),
      this.stateCard,
      this.stepsCard,
      this.rejectedCard,
    );
  }

  draw(health) {
    const rates = this.#rates(health);
    this.planCard.hidden = this.stepsCard.hidden = health.steps.length === 0;
    this.plan.draw(health, rates);
    this.sources.fill(health.sources.map((source) => this.#sourceRow(source)));
    this.steps.fill(health.steps.map((step, i) => stepRow(step, rates[i])));
    this.#drawState(health);
    this.#drawRejected(health);
  }

  #drawState({ state, warnings = [], now_us: now }) {
    this.stateCard.hidden = !state;
    this.alarm.hidden = warnings.length === 0;
    // An alert is read out whenever it changes, so it is left alone while it says the same.
    if (this.alarm.mark !== warnings.join("\n")) this.alarm.replaceChildren(...warnings.map((text) => el("p", { text })));
    this.alarm.mark = warnings.join("\n");
    if (state) this.state.fill([stateRow(state, now)]);
  }

  // Per step: rows in and out per second, and the share of time it was at work, since the health before.
  #rates(health) {
    const before = this.before;
    const seconds = before ? (health.now_us - before.now_us) / 1e6 : 0;
    if (!before || seconds > 0.2) this.before = health;
    if (!before || seconds <= 0.2) return this.last ?? health.steps.map(() => ({ in: 0, out: 0, load: 0 }));
    return (this.last = health.steps.map((step, i) => {
      const old = before.steps[i] ?? step;
      const smooth = (name, now) => (this.last?.[i] ? 0.6 * this.last[i][name] + 0.4 * now : now);
      return {
        in: smooth("in", Math.max(0, step.rows_in - old.rows_in) / seconds),
        out: smooth("out", Math.max(0, step.rows_out - old.rows_out) / seconds),
        load: smooth("load", Math.max(0, step.busy_s - old.busy_s) / seconds),
      };
    }));
  }

  #sourceRow(source) {
    const parts = ACCOUNTS.filter((name) => source[name]).map((name) => `${number(source[name])} ${name.replace("_", "-").replace("-", " ")}`);
    const sum = `${number(source.received)} received = ${parts.join(" + ") || "0"}`;
    return [
      { nodes: [el("b", { text: source.name }), el("small", { text: source.url })], title: source.url },
      { nodes: [el("span", { class: `status ${statusKind(source.status)}`, text: source.status })] },
      short(source.rows_per_s),
      number(source.received),
      number(source.applied),
      { text: number(source.late), kind: source.late ? "warn-text" : "" },
      number(source.duplicate),
      { text: number(source.shed), kind: source.shed ? "warn-text" : "" },
      { text: number(source.dead_lettered), kind: source.dead_lettered ? "warn-text" : "" },
      number(source.in_flight),
      {
        nodes: [el("span", { class: source.conserved ? "good" : "bad", text: source.conserved ? "✓ add up" : "✗ differ" })],
        title: sum,
      },
      source.watermark_us === null ? "–" : instant(source.watermark_us / 1000, this.app.now()),
      duration(source.lag_ms),
    ];
  }

  #drawRejected(health) {
    const reasons = new Map();
    for (const source of health.sources) for (const [reason, count] of Object.entries(source.reasons)) reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    this.rejectedCard.hidden = reasons.size === 0 && health.rejected.length === 0;
    const sorted = [...reasons].sort((a, b) => b[1] - a[1]);
    this.reasons.replaceChildren(...sorted.map(([reason, count]) => el("span", { class: "chip" }, el("span", { text: reason }), el("b", { class: "num", text: number(count) }))));
    const newest = [...health.rejected].sort((a, b) => b.received_us - a.received_us).slice(0, 20);
    this.rejected.fill(
      newest.map((sample) => [
        { text: clock(sample.received_us / 1000).slice(0, 8), title: instant(sample.received_us / 1000) },
        sample.source,
        { text: sample.reason, title: sample.detail },
        { text: `${sample.partition} @ ${number(sample.position)}`, title: sample.partition },
        { nodes: [el("code", { text: sample.head }), el("small", { text: sample.detail })], title: sample.head },
      ]),
    );
  }
}

function stepRow(step, rate) {
  const amiss = Object.entries(step.counters ?? {}).map(([name, count]) => `${name.replaceAll("_", " ")} ${number(count)}`);
  const meter = el("meter", { min: "0", max: "1", value: String(Math.min(1, rate.load)), "aria-label": "load" });
  return [
    { nodes: [el("b", { text: step.name }), el("small", { class: "warn-text", text: amiss.join(", ") })], title: step.name },
    number(step.rows_in),
    number(step.rows_out),
    short(rate.in),
    short(rate.out),
    { text: number(step.late), kind: step.late ? "warn-text" : "" },
    number(step.state_rows),
    { nodes: [meter, el("span", { class: "num", text: percent(rate.load, 1) })] },
  ];
}

function stateRow(state, now) {
  const age = Math.round((now - state.checkpoint_us) / 1e6);
  const when = state.checkpoint_us === null ? "none yet" : age < 1 ? "now" : `${duration(age * 1000)} ago`;
  return [
    { nodes: [el("b", { text: state.folder }), el("span", { class: state.full ? "bad" : "good", text: state.full ? "✗ the disk is full" : "✓ stores" })], title: state.folder },
    { nodes: [el("span", { text: duration(state.recovery_s * 1000) }), el("small", { text: state.recovery })], title: state.recovery },
    { text: when, title: `covers record ${number(state.checkpoint_applied)} of ${number(state.applied)} applied` },
    duration(state.checkpoint_s * 1000),
    bytes(state.checkpoint_bytes),
    { text: number(state.checkpoints), title: "checkpoints written by this run" },
    { text: number(state.appended), title: "records in the journal" },
    { text: number(state.appended - state.synced), title: "records that are not synced yet" },
    bytes(state.uncovered_bytes),
    { text: bytes(state.waiting_bytes), kind: Object.keys(state.troubles).length ? "warn-text" : "" },
  ];
}

function statusKind(status) {
  if (/fail|refus|error|lost|broken/i.test(status)) return "is-bad";
  if (/wait|connecting|again|retry|idle|open/i.test(status)) return "is-waiting";
  if (/end|closed|done|finish|stop/i.test(status)) return "is-over";
  return "is-good";
}

// A table whose cells are written only where they differ; the first `texts` columns are no numbers.
function table(names, texts) {
  const body = el("tbody");
  const element = el("table", { class: "facts" }, el("thead", {}, el("tr", {}, names.map((name, i) => el("th", { scope: "col", text: name, class: i < texts ? "text" : "" })))), body);
  const rows = [];
  const fill = (data) => {
    while (rows.length < data.length) rows.push(el("tr", {}, names.map((_, i) => el("td", { class: i < texts ? "num text" : "num" }))));
    setChildren(body, rows.slice(0, data.length));
    data.forEach((cells, i) => cells.forEach((cell, j) => fillCell(rows[i].children[j], cell)));
  };
  return { element, fill };
}

function fillCell(node, cell) {
  if (typeof cell === "string") return setText(node, cell);
  const { nodes, text, title, kind } = cell;
  if (nodes) {
    const mark = nodes.map((one) => `${one.className} ${one.textContent} ${one.value ?? ""}`).join("\u0000");
    if (node.mark !== mark) node.replaceChildren(...nodes);
    node.mark = mark;
  } else setText(node, text);
  if (title !== undefined && node.title !== title) node.title = title;
  if (kind !== undefined) setClass(node, "warn-text", kind === "warn-text");
}

function card(title, ...content) {
  return el("section", { class: "card" }, el("div", { class: "card-head" }, el("h3", { text: title })), ...content);
}

function scroll(content, label) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);
}
