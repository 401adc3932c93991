// Numbers, durations and instants for people. All instants are milliseconds, shown in UTC.

const NONE = "–";

export function decimalsFor(values) {
  let largest = 0;
  let whole = true;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    largest = Math.max(largest, Math.abs(value));
    whole &&= Number.isInteger(value);
  }
  if (whole) return 0;
  return Math.min(8, Math.max(1, 4 - Math.floor(Math.log10(largest || 1))));
}

const fixed = new Map();

export function number(value, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-6)) return value.toExponential(4);
  const places = decimals ?? (Number.isInteger(value) ? 0 : Math.min(8, Math.max(0, 4 - Math.floor(Math.log10(size || 1)))));
  if (!fixed.has(places)) {
    fixed.set(places, new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }));
  }
  return fixed.get(places).format(value).replace("-", "−");
}

const UNITS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  for (const [scale, unit] of UNITS) {
    if (Math.abs(value) >= scale * (scale === 1e3 ? 10 : 1)) return `${three(value / scale)} ${unit}`;
  }
  return Number.isInteger(value) ? number(value, 0) : three(value);
}

function three(value) {
  const size = Math.abs(value);
  return number(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

export function bytes(value) {
  if (!value) return NONE;
  if (value < 1024 * 1024) return `${three(value / 1024)} KiB`;
  if (value < 1024 ** 3) return `${three(value / 1024 ** 2)} MiB`;
  return `${three(value / 1024 ** 3)} GiB`;
}

export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const size = Math.abs(ms);
  if (size < 1) return `${number(ms, 2)} ms`;
  if (size < 1_000) return `${number(ms, size < 10 ? 1 : 0)} ms`;
  if (size < 60_000) return `${number(ms / 1_000, size < 10_000 ? 1 : 0)} s`;
  if (size < 3_600_000) return `${number(ms / 60_000, size < 600_000 ? 1 : 0)} min`;
  if (size < 172_800_000) return `${number(ms / 3_600_000, 1)} h`;
  if (size < 63_072_000_000) return `${number(ms / 86_400_000, 0)} d`;
  return `${number(ms / 31_557_600_000, 1)} y`;
}

export function percent(part, whole) {
  if (!whole) return NONE;
  if (part === 0) return "0 %";
  const share = (100 * part) / whole;
  if (part > 0 && share < 0.01) return "< 0.01 %";
  return `${number(share, share >= 10 ? 0 : share >= 1 ? 1 : 2)} %`;
}

export function clock(ms) {
  const text = iso(ms);
  return text === NONE ? NONE : text.slice(11).replace("Z", "").replace(/\.?0+$/, (zeros) => (zeros.startsWith(".") ? "" : zeros));
}

export function day(ms) {
  return iso(ms).slice(0, 10);
}

// With the date unless it is today, without the time at midnight.
export function instant(ms, now) {
  const text = iso(ms);
  if (text === NONE) return NONE;
  const time = text.slice(11, 23).replace("Z", "").replace(".000", "");
  if (now !== undefined && day(ms) === day(now)) return time;
  return time === "00:00:00" ? text.slice(0, 10) : `${text.slice(0, 10)} ${time}`;
}

export function iso(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return NONE;
  const text = new Date(ms).toISOString();
  return text.length > 24 ? text.slice(text.length - 24) : text;
}

export function keyLabel(parts) {
  if (!parts.length) return "all";
  return parts.map((part) => (part === null ? "null" : part === "" ? "(empty)" : part)).join(" · ");
}
