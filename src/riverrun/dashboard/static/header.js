// The bar at the top: name, state of the line, and the controls that act on every panel.

import { el, setClass, setText } from "./dom.js";
import { duration, number } from "./format.js";

// Spans of time that can be chosen, in ms.
const SPANS = [
  [10e3, "10 s"], [30e3, "30 s"], [60e3, "1 min"], [300e3, "5 min"], [900e3, "15 min"], [3600e3, "1 hour"], [6 * 3600e3, "6 hours"],
  [86400e3, "1 day"], [7 * 86400e3, "7 days"], [30 * 86400e3, "30 days"], [91 * 86400e3, "3 months"], [365 * 86400e3, "1 year"],
  [5 * 365 * 86400e3, "5 years"],
];

export class Header {
  constructor(app, page) {
    this.app = app;
    this.#buildKeys();
    this.dot = el("span", { class: "state", role: "status", "aria-live": "polite" });
    this.age = el("span", { class: "age num" });
    this.range = el("select", { "aria-label": "time range", title: "time range of all charts", onchange: () => this.app.chooseSpan(this.range.value) });
    this.pause = el("button", { type: "button", class: "pause", onclick: () => this.app.togglePause() });
    this.theme = el("button", { type: "button", class: "icon", onclick: () => this.app.nextTheme() });
    this.element = el(
      "div",
      { class: "bar" },
      el("img", { src: "/static/icon.svg", alt: "", width: "28", height: "28" }),
      el("h1", { text: page.title, title: page.title }),
      el("div", { class: "line" }, this.dot, this.age),
      el("div", { class: "controls" }, this.keyBox, this.range, this.pause, this.theme),
    );
    if (page.exposed) this.element.append(el("p", { class: "exposed", text: "Everybody who reaches this machine can see this page." }));
    this.spans = "";
    this.fillSpans();
    document.addEventListener("keydown", (event) => this.#shortcut(event));
  }

  #buildKeys() {
    this.search = el("input", { type: "search", placeholder: "Find keys  /", "aria-label": "find keys", oninput: () => this.app.find(this.search.value), onfocus: () => this.#open(true) });
    this.list = el("div", { class: "key-list" });
    const set = (text, show) => el("button", { type: "button", class: "small", text, onclick: () => this.app.showAll(show) });
    this.count = el("span", { class: "muted num" });
    this.panel = el("div", { class: "key-panel", hidden: true }, el("div", { class: "key-actions" }, set("All", true), set("None", false), this.count), this.list);
    this.keyBox = el("div", { class: "key-box" }, this.search, this.panel);
    document.addEventListener("pointerdown", (event) => this.keyBox.contains(event.target) || this.#open(false));
    this.keyBox.addEventListener("focusout", (event) => event.relatedTarget && !this.keyBox.contains(event.relatedTarget) && this.#open(false));
  }

  #open(open) {
    this.panel.hidden = !open;
    if (open) this.drawKeys();
  }

  #shortcut(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      this.#open(false);
      this.search.blur();
    } else if (event.target.matches("input, select, textarea, button")) return;
    else if (event.key === "/") {
      event.preventDefault();
      this.search.focus();
    } else if (event.key === " " && event.target === document.body) {
      event.preventDefault();
      this.app.togglePause();
    }
  }

  drawKeys() {
    const labels = this.app.labels();
    this.keyBox.hidden = labels.length < 2;
    if (this.panel.hidden) return;
    const found = labels.filter((label) => this.app.matches(label));
    setText(this.count, `${number(found.filter((label) => !this.app.hidden.has(label)).length)} of ${number(labels.length)} shown`);
    this.list.replaceChildren(...found.map((label) => this.#keyRow(label)));
  }

  #keyRow(label) {
    const box = el("input", { type: "checkbox", onchange: () => this.app.toggleKey(label) });
    box.checked = !this.app.hidden.has(label);
    const swatch = el("i", { class: "swatch" });
    swatch.style.background = this.app.colorOf(label);
    const only = el("button", { type: "button", class: "small only", text: "only", onclick: () => this.app.showOnly(label) });
    return el("div", { class: "key-row" }, el("label", { title: label }, box, swatch, el("span", { text: label })), only);
  }

  // Only spans that make sense for the data: more than a few points, less than there is.
  fillSpans() {
    const { step, span } = this.app.extent();
    const fitting = SPANS.filter(([ms]) => ms >= 8 * step && ms < 1.5 * span);
    const chosen = this.app.span;
    if (typeof chosen === "number" && !fitting.some(([ms]) => ms === chosen)) fitting.push(SPANS.find(([ms]) => ms === chosen) ?? [chosen, duration(chosen)]);
    const options = [["all", "All time"], ...fitting.map(([ms, name]) => [String(ms), `Last ${name}`])];
    if (Array.isArray(chosen)) options.push(["zoom", "Zoomed in"]);
    const mark = options.join("|");
    if (mark !== this.spans) this.range.replaceChildren(...options.map(([value, text]) => el("option", { value, text })));
    this.spans = mark;
    this.range.value = Array.isArray(chosen) ? "zoom" : String(chosen);
  }

  draw() {
    const { line, paused, waiting, themeChoice } = this.app;
    const age = this.app.dataAge();
    const running = this.app.health?.running !== false;
    const state = line !== "live" ? line : paused ? "paused" : !running ? "ended" : "live";
    const words = { live: "Live", paused: "Paused", connecting: "Connecting…", lost: "Connection lost, trying again…", ended: "Finished" };
    setText(this.dot, words[state]);
    this.dot.className = `state is-${state}`;
    const stale = state === "live" && age > this.app.patience();
    setText(this.age, paused ? `${number(waiting)} updates waiting` : age === null ? "" : `last result ${age < 1000 ? "now" : `${duration(Math.round(age / 1000) * 1000)} ago`}`);
    setClass(this.age, "is-old", stale);
    setClass(document.body, "is-stale", line === "lost");
    setText(this.pause, paused ? "Resume" : "Pause");
    this.pause.setAttribute("aria-pressed", String(paused));
    this.pause.title = paused ? "show what came meanwhile (space)" : "hold the page still; nothing is lost (space)";
    const themes = { auto: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };
    setText(this.theme, themes[themeChoice][0]);
    this.theme.title = `colours: ${themes[themeChoice][1]}`;
    this.theme.setAttribute("aria-label", this.theme.title);
  }
}
