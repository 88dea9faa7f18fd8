// What moves on the charts: a line at tau, a dot on each curve, a dot a class.

const SVG = "http://www.w3.org/2000/svg";

const draw = (svg, name, attributes) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return svg.appendChild(made);
};

// The first pair of axes of a chart, and where a point lies in its drawing.
const chartOf = (name) => {
  const figure = document.querySelector(`figure[data-chart="${name}"]`);
  if (!figure) return null;
  const box = JSON.parse(figure.dataset.axes)[0];
  const warp = box.x_log ? Math.log : (value) => value;
  const percent = box.y_high > 1.5 ? 100 : 1; // shares are drawn in percent
  return {
    figure,
    svg: figure.querySelector("svg"),
    box,
    x: (value) =>
      box.left + ((warp(value) - warp(box.x_low)) / (warp(box.x_high) - warp(box.x_low))) * box.width,
    y: (share) =>
      box.top + box.height - ((percent * share - box.y_low) / (box.y_high - box.y_low)) * box.height,
    inside: (value) => value >= box.x_low && value <= box.x_high,
  };
};

// A vertical line at tau and a dot where each of the groups' curves crosses it.
const followTau = (name, groups) => {
  const chart = chartOf(name);
  if (!chart) return;
  const { box, svg } = chart;
  const layer = draw(svg, "g", { class: "live", "aria-hidden": "true" });
  const line = draw(layer, "path", { class: "at-tau" });
  const dots = groups.map((group) =>
    draw(layer, "circle", { r: 4, style: `fill:var(--${slider.colours[group.place] ?? "ink"})` }),
  );
  const follow = (tick) => {
    const tau = slider.taus[tick];
    layer.style.display = chart.inside(tau) ? "" : "none";
    layer.classList.toggle("unmoved", tick === slider.start); // the chart marks that tau itself
    line.setAttribute("d", `M${chart.x(tau)} ${box.top}v${box.height}`);
    groups.forEach((group, at) => {
      const error = group.error[3 * tick];
      const hidden = Number.isNaN(error);
      dots[at].style.display = hidden ? "none" : "";
      if (hidden) return;
      dots[at].setAttribute("cx", chart.x(tau));
      dots[at].setAttribute("cy", chart.y(error));
    });
  };
  follow(slider.tick);
  slider.listeners.push(follow);
};

// As the chart of recalls is drawn: classes from which on lines show means, and up to which each has its stroke.
const MEANS_FROM = 40;
const ONE_BY_ONE = 150;

// Mean recall of classes of like counts, in the stretches of the axis that the chart was drawn with: its corners
// as [count, classes of the stretch].
const stretches = (counts) => {
  const parts = 14;
  const least = 8;
  const low = Math.log(Math.min(...counts));
  const width = Math.log(Math.max(...counts)) - low || 1;
  const made = [[]];
  const byPart = Array.from({ length: parts }, () => []);
  counts.forEach((one, at) => {
    byPart[Math.min(parts - 1, Math.floor(((Math.log(one) - low) / width) * parts))].push(at);
  });
  for (const part of byPart) {
    if (made.at(-1).length >= least) made.push([]);
    made.at(-1).push(...part);
  }
  if (made.length > 1 && made.at(-1).length < least) made.at(-2).push(...made.pop());
  return made.map((members) => [
    Math.exp(members.reduce((sum, at) => sum + Math.log(counts[at]), 0) / members.length),
    members,
  ]);
};

// Recall of every class, with a stroke from where it was: one path each, whose round ends are the dots.
const followClasses = () => {
  const chart = chartOf("recall");
  if (!chart || !slider.classes) return;
  const { support, before } = slider.classes;
  const layer = draw(chart.svg, "g", { class: "live", "aria-hidden": "true" });
  const strokes = draw(layer, "path", { class: "strokes" });
  const dots = draw(layer, "path", { class: "dots" });
  const mean = draw(layer, "path", { class: "mean" });
  const seen = [...support.keys()].filter((j) => support[j] && chart.inside(slider.counts[j]));
  const lined = seen.length < MEANS_FROM ? [] : stretches(seen.map((j) => slider.counts[j]));
  layer.classList.toggle("crowded", seen.length > ONE_BY_ONE);
  const place = (j, right) => [chart.x(slider.counts[j]), chart.y(right / support[j])].map((at) => at.toFixed(2));
  slider.listeners.push((tick, found) => {
    const moved = tick !== slider.start;
    chart.figure.classList.toggle("moved", moved);
    layer.style.display = moved ? "" : "none";
    if (!moved) return;
    const now = seen.map((j) => place(j, found.right[j]));
    dots.setAttribute("d", now.map(([x, y]) => `M${x} ${y}h0`).join(""));
    const line = lined.map(([x, members]) => {
      const sum = members.reduce((all, at) => all + found.right[seen[at]] / support[seen[at]], 0);
      return `${chart.x(x).toFixed(2)} ${chart.y(sum / members.length).toFixed(2)}`;
    });
    mean.setAttribute("d", line.length ? `M${line.join("L")}` : "");
    if (seen.length > ONE_BY_ONE) return;
    strokes.setAttribute("d", seen.map((j, at) => `M${place(j, before[j]).join(" ")}V${now[at][1]}`).join(""));
  });
};

if (slider) {
  followTau("curve", slider.groups.slice(0, 1));
  followTau("group_curves", slider.groups.filter((one) => one.place !== null));
  followClasses();
}
