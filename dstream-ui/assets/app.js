// The frame of the page: which page is shown, what is live, and what all pages use.

import { pages } from "./pages.js";

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
    Math.floor(i ? (ms % units[i - 1]) / unit : ms / unit));
  return [d && d + " d", hours && hours + " h", m && m + " min", !d && !hours && s && s + " s"].filter(Boolean).join(" ");
}

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) { n /= 1024; at += 1; }
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

/** A table: columns are [title, whether it is a number]. */
export function table(columns, rows, empty = "None.") {
  if (!rows.length) return h("p", { class: "note" }, empty);
  const head = columns.map(([title, n]) => h("th", { scope: "col", class: n ? "n" : "" }, title));
  const body = rows.map((row) => h("tr", {}, row.map((cell, at) =>
    h("td", { class: columns[at][1] ? "n" : "text" }, cell instanceof Node ? cell : String(cell ?? "–")))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": columns.map(([title]) => title).join(", ") },
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const entries = [["/", "Streaming"], ["/graph", "Pipeline"], ["/state", "State"], ["/dashboard", "Dashboard"], ["/settings", "Settings"]];

let shown = null;
let turn = 0;
/** Whether something has happened that nobody has told. */
let lost = false;

/** Shows the page of the address. */
async function show() {
  const mine = ++turn;
  shown?.end?.();
  shown = null;
  const path = location.pathname;
  const nav = document.getElementById("nav");
  nav.replaceChildren(...entries.map(([to, title]) => {
    const here = to === "/" ? path === "/" || path.startsWith("/batches") : path.startsWith(to);
    return h("a", { href: to, "aria-current": here ? "page" : null }, title);
  }));
  document.documentElement.classList.toggle("embedded", new URLSearchParams(location.search).has("embed"));
  const [, page, argument] = path.split("/");
  try {
    const app = await api("app");
    if (mine !== turn) return;
    document.getElementById("name").textContent = app.name;
    document.title = app.name;
    if (app.state === "stopped") ended(app);
    const made = await pages[page || "streaming"](app, argument && decodeURIComponent(argument));
    if (mine !== turn) return made.end?.();
    main.replaceChildren(...made.content);
    shown = made;
    made.ready?.();
  } catch (error) {
    if (mine === turn) main.replaceChildren(h("h1", {}, "Not there"), h("p", { class: "problem" }, error.message));
  }
}

/** Goes to another page without loading it. */
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.origin !== location.origin) return;
  if (link.getAttribute("href").startsWith("#") || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show().then(() => { main.focus(); scrollTo(0, 0); });
});
addEventListener("popstate", show);

function ended(app) {
  connection.className = "ended";
  connection.textContent = app.error ? "stopped by an error" : "stopped";
}

/** Listens to what happens; the browser connects again by itself. */
function listen() {
  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => {
    connection.className = "";
    connection.textContent = "live";
    // What happened meanwhile is not told again.
    if (lost) show();
    lost = false;
  });
  source.addEventListener("error", () => {
    lost = true;
    connection.className = "off";
    connection.textContent = "not connected";
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
  for (const name of ["batch", "waiting", "chart", "receiver", "checkpoint", "report", "stopped"]) {
    source.addEventListener(name, (event) => {
      const data = JSON.parse(event.data);
      if (name === "stopped") ended(data);
      shown?.on?.[name]?.(data);
    });
  }
}

/** Light or dark: what the system wants, until somebody chooses. */
function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    document.documentElement.dataset.theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", () => { apply(); show(); });
  document.getElementById("theme").addEventListener("click", () => {
    localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
    show();
  });
  apply();
}

theme();
show();
listen();
