// What all pages are made of: elements, figures as people read them, and what the program says.

/** An element with attributes and children; text is text, whatever is in it. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/** The same of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes, children);
  return element;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** What the program says, as JSON. */
export async function api(path) {
  const response = await fetch("/api/v1/" + path);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error || response.statusText);
  return body;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A number as people read it. */
export function number(n) {
  if (n === null || n === undefined) return "–";
  return Math.abs(n) >= 100 || Number.isInteger(n) ? whole.format(n) : fine.format(n);
}

/** Milliseconds as people read them. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return number(ms) + " ms";
  if (ms < 60_000) return number(ms / 1000) + " s";
  const [d, hours, m, s] = [86_400_000, 3_600_000, 60_000, 1000].map((unit, i, units) =>
    Math.floor(i ? (ms % units[i - 1]) / unit : ms / unit),
  );
  return [d && d + " d", hours && hours + " h", m && m + " min", !d && !hours && s && s + " s"]
    .filter(Boolean)
    .join(" ");
}

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at += 1;
  }
  return number(n) + " " + units[at];
}

/** A point in time, in the time zone of who looks. */
export function clock(ms, interval = 1000) {
  if (ms === null || ms === undefined) return "–";
  const at = new Date(ms);
  const pad = (n, length = 2) => String(n).padStart(length, "0");
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return `${day} ${time}` + (interval % 1000 ? "." + pad(at.getMilliseconds(), 3) : "");
}

/** What a cell has: an element, or text. */
const shown = (cell) => (cell instanceof Node ? cell : String(cell ?? "–"));

/** A table: columns are [title, whether it is a number]. */
export function table(columns, rows, empty = "None.") {
  if (!rows.length) return h("p", { class: "note" }, empty);
  const head = columns.map(([title, n]) => h("th", { scope: "col", class: n ? "n" : "" }, title));
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      row.map((cell, at) => h("td", { class: columns[at][1] ? "n" : "text" }, shown(cell))),
    ),
  );
  return h(
    "div",
    {
      class: "scroll",
      tabindex: "0",
      role: "region",
      "aria-label": columns.map(([title]) => title).join(", "),
    },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)),
  );
}

/** Calls `work` soon, once for many calls. */
export function soon(work, after = 0) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    setTimeout(
      () =>
        requestAnimationFrame(() => {
          asked = false;
          work();
        }),
      after,
    );
  };
}

/** What has gone wrong, if anything has. */
export const problem = (text) => (text ? h("p", { class: "problem" }, text) : null);
