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

  // The median distance between neighbours, in ms; looked at again when the series has grown a little.
  usualStep() {
    if (this.length < 3) return Infinity;
    if (this.stepAt === this.length >> 4) return this.step;
    this.stepAt = this.length >> 4;
    const steps = [];
    for (let i = Math.max(1, this.length - 200); i < this.length; i++) steps.push(this.times[i] - this.times[i - 1]);
    return (this.step = steps.sort((a, b) => a - b)[steps.length >> 1]);
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

  // The distance between two instants of a key from which on it is a gap and not the pace of the windows, in ms.
  // Days get more: markets rest on weekends.
  gap(series) {
    if (!this.windowed) return Infinity;
    const usual = series.usualStep();
    if (!this.every_us) return 3.5 * usual;
    const step = Math.max(usual, this.every_us / 1000);
    return (step >= 86_400_000 ? 4.5 : 1.5) * step;
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
