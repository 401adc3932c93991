// The line to the server: one event stream, and a snapshot whenever the stream cannot pick up where it stopped.

const SILENCE_MS = 5_000;
const BUFFER_MAX = 2_000;

export class Connection {
  // handlers: snapshot(data), delta(data), health(data), state("connecting" | "live" | "lost")
  constructor(handlers) {
    this.handlers = handlers;
    this.epoch = null;
    this.sequence = -1;
    this.waiting = null; // deltas that came while a snapshot was on its way
    this.fetches = 0;
    this.heard = performance.now();
    setInterval(() => this.#watch(), 1_000);
  }

  open() {
    this.source?.close();
    const after = this.epoch && !this.waiting ? `?after=${encodeURIComponent(`${this.epoch}:${this.sequence}`)}` : "";
    const source = (this.source = new EventSource(`/api/stream${after}`));
    const on = (name, handle) =>
      source.addEventListener(name, (message) => {
        if (this.source !== source) return;
        this.heard = performance.now();
        handle(JSON.parse(message.data), Number(message.lastEventId.split(":").at(-1)));
      });
    on("hello", (data) => this.#hello(data));
    on("delta", (data, sequence) => this.#delta(data, sequence));
    on("health", (data, sequence) => this.#health(data, sequence));
    on("reset", () => this.#fetchSnapshot());
    source.addEventListener("error", () => this.#failed(source));
    this.handlers.state(this.epoch ? "lost" : "connecting");
  }

  #hello({ epoch, resumed }) {
    if (this.epoch && fingerprint(epoch) !== fingerprint(this.epoch)) {
      location.reload(); // another pipeline now answers at this address
      return;
    }
    const known = this.epoch === epoch && resumed && !this.waiting;
    this.epoch = epoch;
    if (known) this.handlers.state("live");
    else this.#fetchSnapshot();
  }

  #delta(data, sequence) {
    if (this.waiting) {
      this.waiting.push([data, sequence]);
      if (this.waiting.length > BUFFER_MAX) this.#fetchSnapshot();
    } else if (sequence > this.sequence) {
      this.sequence = sequence;
      this.handlers.delta(data);
    }
  }

  #health(data, sequence) {
    if (!this.waiting && sequence > this.sequence) this.sequence = sequence;
    this.handlers.health(data);
  }

  async #fetchSnapshot() {
    this.waiting = [];
    const mine = ++this.fetches;
    try {
      const answer = await fetch("/api/snapshot", { cache: "no-store" });
      if (!answer.ok) throw new Error(`snapshot: ${answer.status}`);
      const data = await answer.json();
      if (mine !== this.fetches) return;
      if (data.epoch !== this.epoch) return this.open();
      this.sequence = data.seq;
      const waiting = this.waiting;
      this.waiting = null;
      this.handlers.snapshot(data);
      for (const [delta, sequence] of waiting) this.#delta(delta, sequence);
      this.handlers.state("live");
    } catch {
      if (mine === this.fetches) setTimeout(() => this.open(), 1_000);
    }
  }

  #failed(source) {
    if (this.source !== source) return;
    this.handlers.state(this.epoch ? "lost" : "connecting");
    // The browser comes back by itself after a broken connection, not after an error status.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => this.source === source && this.open(), 1_500);
  }

  #watch() {
    if (performance.now() - this.heard < SILENCE_MS || document.hidden) return;
    this.heard = performance.now();
    this.open();
  }
}

function fingerprint(epoch) {
  return epoch.split("-").at(-1);
}
