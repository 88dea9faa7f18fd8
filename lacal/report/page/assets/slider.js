// The slider: what is known at every tick, and who is told when it moves.

const slider = (() => {
  const element = document.querySelector(".slider-data");
  if (!element) return null;
  const told = data(element);
  for (const group of told.groups) {
    group.error = floats(group.error);
    group.gain = floats(group.gain);
  }
  if (told.classes) {
    told.classes.first = shorts(told.classes.first);
    told.classes.stop = shorts(told.classes.stop);
  }
  return { ...told, tick: told.start, listeners: [] };
})();

// Rows of each class that are right, mended and broken at a tick; null where rows are not embedded.
const classesAt = (tick) => {
  const { classes } = slider;
  if (!classes) return null;
  const right = Int32Array.from(classes.always);
  let at = 0;
  for (let cell = 0; cell < classes.spans.length; cell++) {
    const end = at + classes.spans[cell];
    let covering = 0;
    for (; at < end; at++) covering += classes.first[at] <= tick && tick < classes.stop[at];
    right[cell] += covering;
  }
  const found = { right: [], mended: [], broken: [] };
  classes.support.forEach((_, j) => {
    found.mended.push(right[2 * j]);
    found.broken.push(classes.before[j] - right[2 * j + 1]);
    found.right.push(right[2 * j] + right[2 * j + 1]);
  });
  return found;
};

const nearestTick = (tau) => {
  let best = 0;
  slider.taus.forEach((one, at) => {
    if (Math.abs(one - tau) < Math.abs(slider.taus[best] - tau)) best = at;
  });
  return best;
};

if (slider) {
  const bar = document.querySelector(".bar");
  const range = bar.querySelector("input");
  const list = document.querySelector(".marks");
  const marks = [...list.querySelectorAll("button")];
  const rows = [...document.querySelectorAll("table.groups tbody tr")];
  const heading = rows[0].closest("table").querySelector("[data-now=tau]");
  bar.hidden = false;
  list.hidden = false;

  const ends = (packed, tick) => packed.slice(3 * tick, 3 * tick + 3);

  const showGroups = () => {
    const { tick } = slider;
    slider.groups.forEach((group, at) => {
      const cell = (name) => rows[at].querySelector(`[data-live=${name}]`);
      fill(cell("error"), "share", ...ends(group.error, tick));
      fill(cell("gain"), "points", ...ends(group.gain, tick));
      fill(cell("mended"), "count", group.mended[tick]);
      fill(cell("broken"), "count", group.broken[tick]);
    });
    const tau = tauText(slider.taus[tick]);
    const error = written("share", slider.groups[0].error[3 * tick]);
    bar.querySelector("[data-now=error]").textContent = error;
    bar.querySelector("[data-now=gain]").textContent = written("points", slider.groups[0].gain[3 * tick]);
    bar.querySelector("output").textContent = tau;
    heading.textContent = tau;
    range.value = tick;
    range.setAttribute("aria-valuetext", `tau ${tau}, balanced error ${error} %`);
    for (const one of marks) one.setAttribute("aria-pressed", String(Number(one.dataset.tick) === tick));
  };

  let waiting = false;
  const move = (tick, remember = true) => {
    slider.tick = tick;
    if (remember) {
      try {
        history.replaceState(null, "", `#tau=${Number(slider.taus[tick].toFixed(4))}`);
      } catch {
        // Some browsers keep the address of a local file as it is.
      }
    }
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      showGroups();
      const found = classesAt(slider.tick);
      for (const listener of slider.listeners) listener(slider.tick, found);
    });
  };

  const fromAddress = () => {
    const asked = /^#tau=(-?\d*\.?\d+)$/.exec(location.hash);
    if (asked) move(nearestTick(Number(asked[1])), false);
  };

  range.addEventListener("input", () => move(Number(range.value)));
  for (const one of marks) one.addEventListener("click", () => move(Number(one.dataset.tick)));
  bar.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", fromAddress);
  showGroups();
  addEventListener("load", fromAddress);
}
