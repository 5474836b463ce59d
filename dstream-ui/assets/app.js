// The frame of the page: which page is shown, and what is live.

import { api, h } from "./dom.js";
import { pages } from "./pages.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const entries = [
  ["/", "Streaming"],
  ["/graph", "Pipeline"],
  ["/state", "State"],
  ["/dashboard", "Dashboard"],
  ["/settings", "Settings"],
];

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
  nav.replaceChildren(
    ...entries.map(([to, title]) => {
      const here = to === "/" ? path === "/" || path.startsWith("/batches") : path.startsWith(to);
      return h("a", { href: to, "aria-current": here ? "page" : null }, title);
    }),
  );
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
    if (mine === turn)
      main.replaceChildren(h("h1", {}, "Not there"), h("p", { class: "problem" }, error.message));
  }
}

/** Goes to another page without loading it. */
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.origin !== location.origin) return;
  // In the frame of another site each page is loaded, and may refuse to be framed.
  if (window !== top) return;
  if (link.getAttribute("href").startsWith("#") || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show().then(() => {
    main.focus();
    scrollTo(0, 0);
  });
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
  for (const name of ["batch", "waiting", "progress", "chart", "receiver", "checkpoint", "report", "stopped"]) {
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
    document.documentElement.dataset.theme =
      localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", () => {
    apply();
    show();
  });
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
