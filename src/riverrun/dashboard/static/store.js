// What the page knows of the results: for every view and key, points ordered by time. Deltas are upserts.

import { keyLabel } from "./format.js";

// The points of one key in growing typed arrays; instants in milliseconds.
export class Series {
  constructor(width, limit) {
    this.width = width;
    this.limit = limit;
    this.length = 0;
    this.times = new Float64Array(64);
    this.columns = Array.from({ length: width }, () => new Float64Array(64));
    this.revisions = new Int32Array(64);
    this.final = new Uint8Array(64);
  }

  // The place of the first instant that is not before `time`.
  place(time) {
    let low = 0;
    let high = this.length;
    if (high && this.times[high - 1] < time) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  put(time, columns, row, revision, final) {
    const at = this.place(time);
    if (at === this.length || this.times[at] !== time) this.#open(at);
    this.times[at] = time;
    for (let i = 0; i < this.width; i++) this.columns[i][at] = columns[i][row] ?? NaN;
    this.revisions[at] = revision;
    this.final[at] = final;
  }

  latest(column) {
    return this.length ? this.columns[column][this.length - 1] : NaN;
  }

  #arrays() {
    return [this.times, ...this.columns, this.revisions, this.final];
  }

  #open(at) {
    if (this.length === this.times.length) this.#makeRoom();
    at = Math.min(at, this.length);
    if (at < this.length) for (const array of this.#arrays()) array.copyWithin(at + 1, at, this.length);
    this.length++;
  }

  #makeRoom() {
    const capacity = this.times.length * 2;
    const grow = (array) => {
      const larger = new array.constructor(capacity);
      larger.set(array);
      return larger;
    };
    this.times = grow(this.times);
    this.columns = this.columns.map(grow);
    this.revisions = grow(this.revisions);
    this.final = grow(this.final);
  }

  // Called between updates, never within one: places stay valid while points are put in.
  trim() {
    const extra = this.length - this.limit;
    if (extra < this.limit / 4) return;
    for (const array of this.#arrays()) array.copyWithin(0, extra, this.length);
    this.length = this.limit;
  }
}

export class View {
  constructor(meta, points) {
    Object.assign(this, meta);
    this.points = points;
    this.clear();
  }

  clear() {
    this.entries = [];
    this.hiddenKeys = 0;
    this.version = 0;
    this.newest = -Infinity;
    this.oldest = Infinity;
    this.revised = false;
    this.early = false;
    this.step = this.every_us ? this.every_us / 1000 : null;
  }

  column(name) {
    return this.columns.indexOf(name);
  }

  #addKeys(keys) {
    for (const parts of keys) {
      this.entries.push({ parts, label: keyLabel(parts), series: new Series(this.columns.length, this.points) });
    }
  }

  applySnapshot(data) {
    this.clear();
    this.#addKeys(data.keys);
    this.hiddenKeys = data.hidden;
    data.series.forEach((points, key) => this.#put(points, () => key));
    this.#changed();
  }

  applyDelta(data) {
    if (data.from + data.keys.length > this.entries.length) this.#addKeys(data.keys.slice(this.entries.length - data.from));
    this.hiddenKeys = data.hidden;
    this.#put(data, (row) => data.k[row]);
    this.#changed();
  }

  #put(data, keyOf) {
    const { t0, t, v, rev, fin } = data;
    for (let row = 0; row < t.length; row++) {
      const time = (t0 + t[row]) / 1000;
      const entry = this.entries[keyOf(row)];
      entry.series.put(time, v, row, rev ? rev[row] : 0, fin ? fin[row] : 1);
      if (time > this.newest) this.newest = time;
    }
    this.revised ||= Boolean(rev);
    this.early ||= Boolean(fin);
  }

  #changed() {
    this.version++;
    this.oldest = Infinity;
    for (const { series } of this.entries) {
      series.trim();
      if (series.length) this.oldest = Math.min(this.oldest, series.times[0]);
    }
  }

  get empty() {
    return this.newest === -Infinity;
  }

  // The usual distance between two instants of a key, in ms: what tells a gap from a pause between windows.
  usualStep() {
    if (this.every_us) return this.step;
    if (this.stepVersion === this.version) return this.step;
    this.stepVersion = this.version;
    const longest = this.entries.reduce((best, entry) => (best && best.series.length >= entry.series.length ? best : entry), null);
    if (!longest || longest.series.length < 3) return (this.step = null);
    const { times, length } = longest.series;
    const steps = [];
    for (let i = Math.max(1, length - 200); i < length; i++) steps.push(times[i] - times[i - 1]);
    steps.sort((a, b) => a - b);
    return (this.step = steps[steps.length >> 1]);
  }
}

export class Store {
  constructor(page) {
    this.views = page.views.map((meta) => new View(meta, page.points));
    this.byId = new Map(this.views.map((view) => [view.id, view]));
  }

  applySnapshot(data) {
    for (const part of data.views) this.byId.get(part.id)?.applySnapshot(part);
  }

  applyDelta(data) {
    for (const part of data.views) this.byId.get(part.id)?.applyDelta(part);
  }
}
