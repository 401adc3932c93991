// Colours that people with colour-blindness can tell apart (after Okabe and Ito), for a light and a dark ground.

const LIGHT = ["#0072b2", "#d55e00", "#00875f", "#b5468b", "#c28400", "#2f9bd8", "#5f6672", "#7d7300"];
const DARK = ["#4da8f0", "#ff8a4a", "#2bcf9b", "#f08cc6", "#ffbf3f", "#8fd6ff", "#b9c0cc", "#e2d85a"];

export const CHART = {
  light: { text: "#5b6472", grid: "#e6e9ee" },
  dark: { text: "#98a2b3", grid: "#262d39" },
};

// The colour of the n-th key. After eight the same hues come again, darker and lighter.
export function keyColor(n, theme) {
  const base = (theme === "dark" ? DARK : LIGHT)[n % 8];
  const round = Math.floor(n / 8) % 3;
  if (round === 0) return base;
  return mix(base, round === 1 ? "#000000" : "#ffffff", round === 1 ? (theme === "dark" ? 0.35 : 0.4) : 0.42);
}

// Correlation -1 to 1: blue over the ground to orange-red; both ends differ in lightness from the middle.
export function correlationColor(r, theme) {
  if (!Number.isFinite(r)) return { fill: "transparent", ink: "inherit" };
  const end = r < 0 ? (theme === "dark" ? "#2f7fd0" : "#1f66b0") : theme === "dark" ? "#d0642a" : "#c2500f";
  const strength = Math.min(1, Math.abs(r));
  const fill = mix(theme === "dark" ? "#1b212b" : "#f6f7f9", end, strength ** 0.85);
  return { fill, ink: strength > 0.55 || theme === "dark" ? "#ffffff" : "#1a2230" };
}

export function loadColor(load, theme) {
  const share = Math.min(1, Math.max(0, load));
  return mix(theme === "dark" ? "#1f2733" : "#eef2f7", theme === "dark" ? "#d0642a" : "#e8762c", share ** 0.7 * 0.9);
}

export function mix(a, b, share) {
  const [x, y] = [a, b].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return `#${x.map((value, i) => Math.round(value + (y[i] - value) * share).toString(16).padStart(2, "0")).join("")}`;
}
