// What is on screen as a CSV file: the keys that are shown, in the time range that is shown, unthinned.

import { el } from "./dom.js";
import { iso } from "./format.js";

export function download(app, view) {
  const [from, to] = app.rangeOf(view);
  const lines = [[...view.keys, view.time, ...view.columns].map(quote).join(",")];
  for (const { parts, series } of app.shown(view)) {
    for (let i = series.place(from); i < series.length && series.times[i] <= to; i++) {
      const values = series.columns.map((column) => (Number.isNaN(column[i]) ? "" : String(column[i])));
      lines.push([...parts.map((part) => quote(part ?? "")), exact(series.times[i]), ...values].join(","));
    }
  }
  const url = URL.createObjectURL(new Blob([lines.join("\r\n"), "\r\n"], { type: "text/csv" }));
  el("a", { href: url, download: `${view.title.replace(/[^\w-]+/g, "_")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Instants keep their microseconds.
function exact(time) {
  const micro = Math.round(time * 1000) % 1000;
  return micro ? iso(Math.floor(time)).replace("Z", `${String((micro + 1000) % 1000).padStart(3, "0")}Z`) : iso(time);
}

// A leading sign would make a spreadsheet run the text as a formula.
function quote(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
