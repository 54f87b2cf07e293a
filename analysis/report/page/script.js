"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function element(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Colours: the system's until the reader chooses; the choice is kept where the browser allows it.
const theme = one("#theme");
const root = document.documentElement;
const showTheme = () => { one("span", theme).textContent = root.dataset.theme; };
root.dataset.theme ||= "system";
theme.hidden = false;
showTheme();
theme.addEventListener("click", () => {
  const themes = ["system", "light", "dark"];
  root.dataset.theme = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
  showTheme();
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not allowed: not kept */ }
});

// Contents: closed on narrow screens, and marking what is being read.
const contents = one(".contents details");
const wide = matchMedia("(min-width: 68rem)");
const fit = () => { contents.open = wide.matches; };
wide.addEventListener("change", fit);
fit();
const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
const read = new Set();
const watcher = new IntersectionObserver((entries) => {
  entries.forEach(({ target, isIntersecting }) => read[isIntersecting ? "add" : "delete"](target.id));
  const here = [...links.keys()].filter((id) => read.has(id)).at(-1); // an article, not its section
  links.forEach((link) => link.removeAttribute("aria-current"));
  links.get(here)?.setAttribute("aria-current", "true");
}, { rootMargin: "-10% 0px -80% 0px" });
links.forEach((link, id) => watcher.observe(document.getElementById(id)));

// Claims: only those of one verdict.
all(".chip").forEach((chip) => chip.addEventListener("click", () => {
  const chosen = chip.getAttribute("aria-pressed") === "false";
  all(".chip").forEach((other) => other.setAttribute("aria-pressed", chosen && other === chip));
  all(".claims > li").forEach((claim) => {
    claim.hidden = chosen && claim.dataset.verdict !== chip.dataset.verdict;
  });
}));

// Dialogs: Escape is the browser's own; a click beside the dialog closes it as well.
all("dialog").forEach((dialog) => {
  one("[data-close]", dialog).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
});

// Pictures, large.
const lightbox = one("#lightbox");
const pictures = all(".enlarge");
let place = 0;

function enlarge(next) {
  place = (next + pictures.length) % pictures.length;
  const article = pictures[place].closest("article");
  const { src, alt } = one("img", pictures[place]);
  one("h2", lightbox).textContent = one("h3", article).textContent;
  one(".caption", lightbox).textContent = one("figcaption", article).textContent;
  one(".stage", lightbox).replaceChildren(element("img", { src, alt }));
}

pictures.forEach((button, number) => button.addEventListener("click", () => {
  enlarge(number);
  magnify(innerWidth < 700); // fitted to a phone it would be no larger than on the page
  lightbox.showModal();
}));
all("[data-step]", lightbox).forEach((button) => {
  button.addEventListener("click", () => enlarge(place + Number(button.dataset.step)));
});
lightbox.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && !lightbox.classList.contains("full")) enlarge(place + step);
});
const zoom = one("[data-zoom]", lightbox);
const magnify = (full) => {
  zoom.setAttribute("aria-pressed", lightbox.classList.toggle("full", full));
};
zoom.addEventListener("click", () => magnify());

// The table of runs: sorted by its heads, filtered by words and choices.
const table = one("#runs");
const cellText = (row, column) => row.cells[column].textContent;

function sortBy(head) {
  const heads = all("thead th", table);
  const column = heads.indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach((other) => other.setAttribute("aria-sort", "none"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = head.classList.contains("number")
    ? (row) => (row.cells[column].dataset.value === "" ? null : Number(row.cells[column].dataset.value))
    : (row) => cellText(row, column);
  const order = (left, right) => {
    const [a, b] = [key(left), key(right)];
    if (a === null || b === null) return (a === null) - (b === null); // missing ones stay last
    const ascending = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return down ? -ascending : ascending;
  };
  one("tbody", table).append(...all("tbody tr", table).sort(order));
}

function filter() {
  const words = one("[name=words]").value.toLowerCase().split(/\s+/).filter(Boolean);
  const choices = all("#filters select").filter((choice) => choice.value);
  let count = 0;
  all("tbody tr", table).forEach((row) => {
    const text = `${row.textContent} ${one("a", row).hash}`.toLowerCase();
    row.hidden = !(words.every((word) => text.includes(word))
      && choices.every((choice) => cellText(row, choice.dataset.column) === choice.value));
    count += !row.hidden;
  });
  one("#shown").textContent = count;
}

if (table) {
  all("thead th", table).forEach((head) => head.addEventListener("click", () => sortBy(head)));
  const filters = one("#filters");
  for (const kind of ["input", "change"]) filters.addEventListener(kind, filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter));
}

// One run: its data are parsed when the first is opened, and drawn when it is.
const dialog = one("#run");
let stored;

function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].find((step) => step * unit >= value) * unit;
}

function curve(history, names, top, read, chance) {
  const [left, right, bottom, height] = [34, 330, 168, 190];
  const epochs = history.epoch;
  const last = Math.max(epochs.at(-1), 1);
  const first = Math.min(epochs[0], last - 1);
  const x = (epoch) => left + ((epoch - first) / (last - first)) * (right - left);
  const y = (value) => bottom - (value / top) * (bottom - 10);
  const line = (x1, y1, x2, y2, kind) => element("svg:line", { x1, y1, x2, y2, class: kind });
  const label = (text, at, up, anchor) =>
    element("svg:text", { x: at, y: up, "text-anchor": anchor }, text);
  const svg = element("svg:svg", { viewBox: `0 0 340 ${height}`, role: "img" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(line(left, y(share * top), right, y(share * top), "axis"));
    svg.append(label(String(+(share * top).toPrecision(2)), left - 5, y(share * top) + 4, "end"));
  }
  for (const epoch of new Set([first, last])) svg.append(label(epoch, x(epoch), height - 6, "middle"));
  svg.append(label("epoch", (left + right) / 2, height - 6, "middle"));
  if (read !== null) svg.append(line(x(read), 10, x(read), bottom, "read"));
  if (chance) svg.append(line(left, y(chance), right, y(chance), "read"));
  const said = [];
  for (const name of names) {
    const points = epochs.map((epoch, at) => [epoch, history[name][at]])
      .filter((point) => point[1] !== null);
    if (!points.length) continue;
    const kind = name.replace("_accuracy", "");
    const places = points.map(([epoch, value]) => [x(epoch), y(value)]);
    svg.append(element("svg:polyline", { points: places.join(" "), class: `series ${kind}` }));
    if (points.length <= 12) {
      places.forEach(([cx, cy]) => svg.append(element("svg:circle", { cx, cy, r: 3, class: kind })));
    }
    said.push(`${kind} from ${points[0][1]} at epoch ${points[0][0]} to ${points.at(-1)[1]} at epoch ${points.at(-1)[0]}`);
  }
  svg.setAttribute("aria-label", said.join("; "));
  return svg;
}

function keyOf(kind, text) {
  const sample = element("svg:svg", { viewBox: "0 0 30 10", "aria-hidden": "true" },
    element("svg:line", { x1: 0, x2: 30, y1: 5, y2: 5, class: `series ${kind}` }));
  return element("li", {}, sample, text);
}

function curves(run) {
  const losses = run.history.loss.filter((loss) => loss !== null);
  const keys = element("ul", { class: "keys" }, keyOf("train", "train"),
    keyOf("validation", "validation"), keyOf("test", "test"), keyOf("read", "epoch read, chance"));
  return element("div", { class: "curves" },
    element("figure", {}, element("figcaption", {}, "Training loss"),
      curve(run.history, ["loss"], roundUp(Math.max(...losses, 1e-9)), run.read, null)),
    element("figure", {}, element("figcaption", {}, "Accuracy (%)"),
      curve(run.history, ["train_accuracy", "validation_accuracy", "test_accuracy"], 100, run.read,
        run.chance), keys));
}

function selections(run) {
  const heads = ["Epoch", "Number", "Validation accuracy", ...stored.metrics.map((name) => `Test: ${name}`)];
  const rows = run.selections.map(([name, read, ...texts]) => element(
    "tr", read ? { class: "now" } : {},
    element("th", { scope: "row" }, read ? `${name} (in the tables)` : name),
    ...texts.map((text) => element("td", { class: "number" }, text || "–")),
  ));
  const head = heads.map((text) => element("th", { scope: "col" }, text));
  const grid = element("table", { class: "plain" },
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  const region = { class: "scroll", role: "region", tabindex: 0, "aria-label": "Selections" };
  return element("div", region, grid);
}

function factGroup([name, facts]) {
  const lines = facts.map(([key, value]) =>
    element("div", {}, element("dt", {}, key), element("dd", {}, value)));
  return element("div", {}, element("h3", {}, name), element("dl", { class: "facts" }, ...lines));
}

function openRun() {
  if (!location.hash.startsWith("#run/")) return;
  stored ||= JSON.parse(one("#run-data").textContent);
  const key = decodeURIComponent(location.hash.slice("#run/".length));
  const run = stored.runs.find((candidate) => candidate.key === key);
  if (!run) return;
  one("h2", dialog).replaceChildren(run.title, element("span", { class: "quiet" }, ` ${run.subtitle}`));
  const history = run.history.epoch.length
    ? curves(run) : element("p", { class: "quiet" }, "This method has no epochs, so no curves.");
  one(".body", dialog).replaceChildren(
    element("h3", {}, "Curves"), history,
    element("h3", {}, "Which epoch is read"), selections(run),
    element("div", { class: "fact-groups" }, ...run.facts.map(factGroup)),
    element("p", { class: "quiet" }, `Record: ${run.key}.json`),
  );
  if (!dialog.open) dialog.showModal();
}

dialog.addEventListener("close", () => history.replaceState(null, "", "#run-records"));
addEventListener("hashchange", openRun);
openRun();
