// The table of classes: sorted by a click on a heading, filtered by name, moved by the slider.

const classTable = (root) => {
  const told = data(root.querySelector(".class-data"));
  for (const one of told.columns) {
    for (const name of ["values", "low", "high"]) one[name] = floats(one[name]);
  }
  const finder = root.querySelector(".finder");
  const search = finder.querySelector("input");
  const foundText = finder.querySelector(".found");
  const all = finder.querySelector(".all");
  const body = root.querySelector("tbody");
  const headings = [...root.querySelectorAll("th[data-column]")];
  const lowered = told.names.map((name) => name.toLowerCase());
  let { order, descending } = told;
  let limit = told.shown;
  let rows = [];
  let waiting = null;

  const sorted = () => {
    const chosen = told.names.map((_, j) => j);
    const wanted = search.value.trim().toLowerCase();
    const kept = wanted
      ? chosen.filter((j) => lowered[j].includes(wanted) || told.groups[told.place[j]]?.toLowerCase() === wanted)
      : chosen;
    const sign = descending ? -1 : 1;
    if (order < 0) {
      const collator = new Intl.Collator(undefined, { numeric: true });
      return kept.sort((a, b) => sign * collator.compare(told.names[a], told.names[b]) || a - b);
    }
    const { values } = told.columns[order];
    return kept.sort((a, b) => {
      const without = Number.isNaN(values[a]) - Number.isNaN(values[b]); // n/a last, either way
      return without || sign * (values[a] - values[b]) || a - b;
    });
  };

  const row = (j) => {
    const made = document.createElement("tr");
    const name = made.appendChild(document.createElement("th"));
    name.scope = "row";
    name.title = told.names[j];
    const group = told.groups[told.place[j]];
    if (group !== undefined) {
      const dot = name.appendChild(document.createElement("i"));
      dot.className = "dot";
      dot.title = group;
      dot.style.setProperty("--dot", `var(--${told.colours[told.place[j]]})`);
    }
    name.appendChild(document.createElement("bdi")).textContent = told.names[j];
    if (told.namesGroups && group !== undefined) {
      const small = document.createElement("small"); // several groups share a colour
      small.className = "of";
      small.textContent = group;
      name.append(" ", small);
    }
    if (told.pair) showPair(made.appendChild(document.createElement("td")), j);
    for (const column of told.columns) fillCell(made.appendChild(document.createElement("td")), column, j);
    return made;
  };

  // Before and after on one line from 0 to 1.
  const showPair = (cell, j) => {
    cell.className = "pair";
    const [from, to] = told.pair.map((at) => told.columns[at].values[j]);
    if (Number.isNaN(from + to)) return;
    cell.style.setProperty("--from", from);
    cell.style.setProperty("--to", to);
  };

  const fillCell = (cell, column, j) => {
    fill(cell, column.kind, column.values[j], column.low ? column.low[j] : NaN, column.high ? column.high[j] : NaN);
  };

  const show = () => {
    clearTimeout(waiting);
    const chosen = sorted();
    rows = chosen.slice(0, limit);
    body.replaceChildren(...rows.map(row));
    const every = told.names.length;
    foundText.textContent =
      rows.length < chosen.length
        ? `${count(rows.length)} of ${count(chosen.length)} shown`
        : `${count(chosen.length)}${chosen.length < every ? ` of ${count(every)}` : ""} classes`;
    all.hidden = rows.length === chosen.length;
    root.querySelector(".rest")?.remove();
    for (const one of headings) {
      const here = Number(one.dataset.column) === order;
      if (here) one.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else one.removeAttribute("aria-sort");
    }
  };

  for (const one of headings) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...one.childNodes);
    one.append(button);
    button.addEventListener("click", () => {
      const column = Number(one.dataset.column);
      descending = column === order ? !descending : column >= 0 && told.columns[column].kind !== "share";
      order = column;
      show();
    });
  }

  // The numbers of the columns that tau moves, at this tick.
  const follow = (tick, found) => {
    const { support } = slider.classes;
    for (const column of told.columns) {
      if (!column.live) continue;
      if (column.live === "recall") {
        support.forEach((n, j) => {
          if (!n) return;
          const error = (n - found.right[j]) / n;
          const [low, high] = wilson(error, n);
          column.values[j] = 1 - error;
          column.low[j] = 1 - high;
          column.high[j] = 1 - low;
        });
      } else {
        column.values.set(found[column.live]);
      }
    }
    clearTimeout(waiting);
    refresh(rowInSight(), 0);
  };

  // The moved numbers of the rows, those in sight first and then, in pieces, all others.
  const refresh = (first, done) => {
    const end = Math.min(done + told.shown, rows.length);
    for (let at = done; at < end; at++) {
      const place = (first + at) % rows.length;
      const cells = body.rows[place].cells;
      const offset = told.pair ? 2 : 1;
      if (told.pair) showPair(cells[1], rows[place]);
      told.columns.forEach((column, number) => {
        if (column.live) fillCell(cells[offset + number], column, rows[place]);
      });
    }
    if (end < rows.length) waiting = setTimeout(refresh, 0, first, end);
  };

  const rowInSight = () => {
    const { top, height } = body.getBoundingClientRect();
    return Math.min(rows.length - 1, Math.floor(Math.max(0, -top / height) * rows.length));
  };

  finder.hidden = false;
  search.addEventListener("input", show);
  finder.addEventListener("submit", (event) => event.preventDefault());
  all.addEventListener("click", () => {
    // Thousands of rows are laid out quickly where the widths of the columns are known.
    for (const one of root.querySelectorAll("thead th")) one.style.width = `${one.offsetWidth}px`;
    root.querySelector("table").classList.add("long");
    limit = Infinity;
    show();
  });
  if (slider?.classes && told.columns.some((one) => one.live)) {
    slider.listeners.push(follow);
    root.querySelector(".follows").hidden = false;
  }
  show();
};

for (const root of document.querySelectorAll(".classes")) classTable(root);
