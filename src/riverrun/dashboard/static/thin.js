// From many points to few: the smallest and the largest of each pixel column, so that no spike is lost.
// Buckets are aligned to absolute time, so that a moving range does not make the line flicker.

// A line breaks where a value is missing, and where the next point is further away than `gap` (ms).
export function thin(series, column, from, to, pixels, gap) {
  const { times, length } = series;
  const values = series.columns[column];
  const first = Math.max(0, series.place(from) - 1);
  const end = Math.min(length, series.place(to) + 1);
  const line = new Line((to - from) / pixels);
  if (end - first <= 2 * pixels) {
    for (let i = first; i < end; i++) {
      if (i > first && times[i] - times[i - 1] > gap) line.break();
      line.add(times[i], values[i]);
    }
    return line.done();
  }
  const width = 2 ** Math.ceil(Math.log2((to - from) / pixels));
  let i = first;
  while (i < end) {
    const bucket = Math.floor(times[i] / width);
    let low = -1;
    let high = -1;
    if (i > first && times[i] - times[i - 1] > gap) line.break();
    for (; i < end && Math.floor(times[i] / width) === bucket; i++) {
      const value = values[i];
      if (value !== value) continue;
      if (low < 0 || value < values[low]) low = i;
      if (high < 0 || value > values[high]) high = i;
    }
    if (low < 0) {
      line.break();
      continue;
    }
    line.add(times[Math.min(low, high)], values[Math.min(low, high)]);
    if (low !== high) line.add(times[Math.max(low, high)], values[Math.max(low, high)]);
  }
  return line.done();
}

class Line {
  // dot: how long a lone point is drawn, in ms
  constructor(dot) {
    this.dot = dot;
    this.xs = [];
    this.ys = [];
    this.low = Infinity;
    this.high = -Infinity;
    this.run = 0; // points since the last break
  }

  add(x, y) {
    if (y !== y) {
      this.break();
      return;
    }
    this.xs.push(x);
    this.ys.push(y);
    this.run++;
    if (y < this.low) this.low = y;
    if (y > this.high) this.high = y;
  }

  // A lone point would be a line of no length: it is drawn as a short one.
  break() {
    if (this.run === 0) return;
    if (this.run === 1) this.#dot();
    this.xs.push(this.xs.at(-1));
    this.ys.push(NaN);
    this.run = 0;
  }

  #dot() {
    const at = this.xs.pop();
    this.xs.push(at - this.dot, at + this.dot);
    this.ys.push(this.ys.at(-1));
  }

  done() {
    if (this.run === 1) this.#dot();
    return this;
  }
}
