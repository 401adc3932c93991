// The plan as a graph from left to right; each step coloured by the share of time it is at work.

import { loadColor } from "./colors.js";
import { el, setText, svg } from "./dom.js";
import { percent, short } from "./format.js";

const WIDTH = 236;
const HEIGHT = 74;
const LINE = 26;
const GAP_X = 40;
const GAP_Y = 18;

export class Plan {
  constructor(app) {
    this.app = app;
    this.element = el("div", { class: "scroll plan", tabindex: "0", role: "region", "aria-label": "Plan" });
  }

  draw(health, rates) {
    const shape = JSON.stringify([health.steps.map((step) => [step.name, step.short]), health.edges]);
    if (shape !== this.shape) this.#build(health);
    this.shape = shape;
    this.nodes?.forEach(({ box, flow, load, title }, i) => {
      const rate = rates[i];
      setText(flow, `${short(rate.in)} → ${short(rate.out)} rows/s`);
      setText(load, rate.load > 0.0005 ? percent(rate.load, 1) : "");
      setText(title, `${health.steps[i].name}: ${percent(rate.load, 1)} busy`);
      box.setAttribute("fill", loadColor(rate.load, this.app.theme));
    });
  }

  #build({ steps, edges }) {
    if (!steps.length) return;
    const places = layOut(steps.length, edges);
    const width = Math.max(...places.map(({ x }) => x)) + WIDTH + 2;
    const height = Math.max(...places.map(({ y }) => y)) + HEIGHT + 2;
    const lines = edges.map(([from, to]) => svg("path", { d: curve(places[from], places[to]), class: "plan-edge" }));
    this.nodes = steps.map((step, i) => this.#node(step, places[i]));
    const drawing = svg(
      "svg",
      { width, height, viewBox: `-1 -1 ${width} ${height}`, role: "img", "aria-label": "graph of the plan" },
      lines,
      this.nodes.map(({ group }) => group),
    );
    this.element.replaceChildren(drawing);
  }

  #node(step, { x, y }) {
    const box = svg("rect", { width: WIDTH, height: HEIGHT, rx: 9, class: "plan-box" });
    const flow = svg("text", { x: 12, y: 60, class: "plan-flow" });
    const load = svg("text", { x: WIDTH - 12, y: 60, class: "plan-flow", "text-anchor": "end" });
    const title = svg("title");
    const lines = inLines(step.short || step.name);
    const names = lines.map((text, i) => svg("text", { x: 12, y: (lines.length > 1 ? 21 : 29) + 17 * i, class: "plan-name", text }));
    return { group: svg("g", { transform: `translate(${x} ${y})` }, title, box, names, flow, load), box, flow, load, title };
  }
}

// One or two lines, broken at a space where there is one; the whole name is in the title.
function inLines(text) {
  if (text.length <= LINE) return [text];
  const space = text.lastIndexOf(" ", LINE);
  const cut = space > LINE / 3 ? space : LINE;
  return [text.slice(0, cut), clip(text.slice(cut).trimStart(), LINE)];
}

function clip(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

// Columns by the longest way from a step without input; within a column in the order of the plan.
function layOut(count, edges) {
  const column = Array(count).fill(0);
  for (let round = 0; round < count; round++) {
    for (const [from, to] of edges) column[to] = Math.max(column[to], Math.min(count, column[from] + 1));
  }
  const filled = new Map();
  const rows = column.map((c) => {
    const row = filled.get(c) ?? 0;
    filled.set(c, row + 1);
    return row;
  });
  const tallest = Math.max(...filled.values());
  return column.map((c, i) => ({
    x: c * (WIDTH + GAP_X),
    y: (rows[i] + (tallest - filled.get(c)) / 2) * (HEIGHT + GAP_Y),
  }));
}

function curve(a, b) {
  const [x1, y1, x2, y2] = [a.x + WIDTH, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}
