// Numbers: unpacked as lacal packed them, written as lacal writes them.

const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;
const floats = (text) => (text === null ? null : new Float64Array(bytes(text)));
const shorts = (text) => new Uint16Array(bytes(text));
const data = (element) => JSON.parse(element.textContent);

// Digits as Python's formatting: a value that lies exactly between two goes to the even digit.
const fixed = (value, digits) => {
  const text = value.toFixed(digits);
  const exact = value.toFixed(60);
  const rest = exact.slice(exact.indexOf(".") + 1 + digits);
  if (!/^50*$/.test(rest) || Number(text.at(-1)) % 2 === 0) return text;
  return (value - Math.sign(value) * 0.25 * 10 ** -digits).toFixed(digits);
};

const signed = (text) => (text.startsWith("-") ? text.replace("-", "−") : `+${text}`);
const count = (value) => fixed(value, 0).replace(/\B(?=(\d{3})+$)/g, ",");

const written = (kind, value) => {
  if (Number.isNaN(value)) return "n/a";
  if (kind === "count") return count(value);
  if (kind === "share") return fixed(100 * value, 1);
  return kind === "points" ? signed(fixed(100 * value, 1)) : fixed(value, 3);
};

const spread = (kind, low, high) =>
  Number.isNaN(low) || Number.isNaN(high)
    ? ""
    : written(kind, low) + (kind === "points" ? " to\u00a0" : "–") + written(kind, high);

const tauText = (tau) => String(Number(tau.toFixed(4))).replace("-", "−");

// 95 % interval of a share (Wilson 1927), step by step as lacal.metrics.intervals takes it.
const wilson = (share, rows) => {
  const z = 1.959963984540054;
  const z2 = z ** 2;
  const centre = (share + z2 / (2 * rows)) / (1 + z2 / rows);
  const half = (z / (1 + z2 / rows)) * Math.sqrt((share * (1 - share)) / rows + z2 / (4 * rows ** 2));
  return [share <= 0 ? 0 : Math.max(centre - half, 0), share >= 1 ? 1 : Math.min(centre + half, 1)];
};

// A cell: the number, its interval in small print, and every digit for whoever reads the page by program.
const fill = (cell, kind, value, low = NaN, high = NaN) => {
  cell.dataset.value = value;
  cell.textContent = written(kind, value);
  const between = spread(kind, low, high);
  if (between) cell.appendChild(document.createElement("small")).textContent = between;
};
