// The first page: what comes in, how late batches are, and which there were.

import { api, clock, duration, h, number, problem, soon, table } from "./dom.js";
import { histogram, isNear, timeline } from "./charts.js";

/** How many batches a table shows at a time. */
const ROWS = 20;
/** How many batches are kept here. */
const KEPT = 10_000;

/** A figure of all batches: its newest value, a time line and a histogram. */
function figure(title, unit, format, limit = null) {
  const value = h("p", { class: "value" }),
    mean = h("p", {}),
    far = h("p", { class: "note" });
  const plot = h("div", { class: "plot" }),
    spread = h("div", {});
  const drawn = timeline(plot, { labels: [title], format: (n) => format(n), limit });
  return {
    content: h(
      "section",
      { class: "card figure", "aria-label": title },
      h("div", {}, h("h2", {}, title), value, mean, far),
      plot,
      spread,
    ),
    set(times, values) {
      const known = values.filter((n) => n !== null);
      const last = known.at(-1);
      value.replaceChildren(last === undefined ? "–" : format(last), h("span", { class: "unit" }, unit));
      mean.textContent = known.length
        ? "on average " +
          format(known.reduce((a, b) => a + b, 0) / known.length) +
          unit +
          (limit === null ? "" : `, of an interval of ${format(limit)}`)
        : "";
      if (limit !== null) {
        const high = known.reduce((a, b) => Math.max(a, b), 0);
        far.textContent =
          !known.length || isNear(limit, high)
            ? `The dashed line is the interval, ${format(limit)}.`
            : `The interval, ${format(limit)}, is far above the chart: at most ` +
              `${number((100 * high) / limit)} % of it was needed.`;
      }
      drawn.set(times, [values]);
      spread.replaceChildren(histogram(known, format));
    },
    end: drawn.end,
  };
}

export async function streaming(app) {
  const line = await api("timeline");
  let batches = line.batches,
    running = app.running,
    waiting = app.waiting,
    completed = app.completed,
    records = app.records;
  const seconds = app.batch_interval / 1000;
  const rate = figure("Input rate", " records/s", number);
  const scheduling = figure("Scheduling delay", "", duration);
  const processing = figure("Processing time", "", duration, app.batch_interval);
  const total = figure("Total delay", "", duration);
  const figures = [rate, scheduling, processing, total];
  const sources = new Map(Object.entries(line.sources).map(([name, rows]) => [name, { rows, figure: null }]));
  const perSource = h("div", {});
  const details = h(
    "details",
    {},
    h("summary", {}, `Input rate of each source (${sources.size})`),
    perSource,
  );
  details.addEventListener("toggle", () => {
    for (const [name, source] of sources) {
      if (details.open && !source.figure) {
        source.figure = figure(name, " records/s", number);
        perSource.append(source.figure.content);
      }
    }
    if (details.open) draw();
  });
  const lead = h("p", { class: "lead" }),
    active = h("div", {}),
    list = h("div", {}),
    errors = h("div", {}),
    sourceTable = h("div", {});
  let first = 0;

  function draw() {
    const since =
      app.started_at === null ? 0 : (app.stopped_at ?? Math.max(Date.now(), app.now)) - app.started_at;
    lead.textContent =
      `Running batches of ${duration(app.batch_interval)} for ${duration(since)} ` +
      `since ${clock(app.started_at)} ` +
      `(${number(completed)} completed batches, ${number(records)} records)`;
    const times = batches.map((row) => row[0]);
    rate.set(
      times,
      batches.map((row) => row[1] / seconds),
    );
    scheduling.set(
      times,
      batches.map((row) => row[2]),
    );
    processing.set(
      times,
      batches.map((row) => row[3]),
    );
    total.set(
      times,
      batches.map((row) => row[4]),
    );
    for (const { rows, figure } of sources.values())
      figure?.set(
        rows.map(([at]) => at),
        rows.map(([, n]) => n / seconds),
      );
    drawList();
  }

  function drawList() {
    const newest = [...batches].reverse();
    if (first >= newest.length) first = Math.max(0, newest.length - ROWS);
    const rows = newest
      .slice(first, first + ROWS)
      .map(([at, n, scheduled, processed, all, failed, done, outputs]) => [
        h("a", { href: `/batches/${at}` }, clock(at, app.batch_interval)),
        number(n),
        duration(scheduled),
        duration(processed),
        duration(all),
        h("span", { class: failed ? "bad" : "" }, `${done}/${outputs}` + (failed ? " failed" : "")),
      ]);
    const columns = [
      ["Batch"],
      ["Records", 1],
      ["Scheduling delay", 1],
      ["Processing time", 1],
      ["Total delay", 1],
      ["Outputs done", 1],
    ];
    const turnTo = (to) => () => {
      first = to;
      drawList();
    };
    list.replaceChildren(
      h("div", { class: "card" }, table(columns, rows, "No batch has completed yet.")),
      h(
        "div",
        { class: "pager" },
        h(
          "button",
          { type: "button", disabled: first === 0 ? "" : null, onclick: turnTo(Math.max(0, first - ROWS)) },
          "Newer",
        ),
        h(
          "button",
          {
            type: "button",
            disabled: first + ROWS >= newest.length ? "" : null,
            onclick: turnTo(first + ROWS),
          },
          "Older",
        ),
        newest.length
          ? `${first + 1} to ${Math.min(first + ROWS, newest.length)} of ${newest.length} that are kept`
          : "",
      ),
    );
    active.replaceChildren(
      h(
        "p",
        { class: "note" },
        `${running ? "1 batch" : "No batch"} is being processed, ` +
          `${number(waiting)} ${waiting === 1 ? "waits" : "wait"}.`,
      ),
    );
  }

  async function drawSources() {
    const [found, reports] = await Promise.all([api("streaming/receivers"), api("reports")]);
    sourceTable.replaceChildren(
      h(
        "div",
        { class: "card" },
        table(
          [["Source"], ["Status"], ["Records/s on average", 1], ["Last error"]],
          found.map((s) => [
            s.streamName,
            s.isActive ? "active" : "inactive",
            number(s.avgEventRate),
            s.lastError ? `${clock(s.lastErrorTime)}: ${s.lastError}` : "none",
          ]),
        ),
      ),
    );
    errors.replaceChildren(
      ...reports.slice(0, 10).map(({ at, error }) => h("p", { class: "problem" }, `${clock(at)}: ${error}`)),
    );
  }

  const redraw = soon(draw, 50),
    resource = soon(drawSources, 500);
  return {
    content: [
      h("h1", {}, "Streaming"),
      lead,
      problem(app.error),
      app.behind &&
        problem(`Batches are ${duration(app.behind.delay)} late, and ${app.behind.waiting} wait.`),
      ...figures.map((one) => one.content),
      details,
      h("h2", {}, "Sources"),
      sourceTable,
      h("h2", {}, "Running and waiting batches"),
      active,
      h("h2", {}, "Completed batches"),
      list,
      h("h2", {}, "Reports"),
      errors,
    ].filter(Boolean),
    ready() {
      draw();
      drawSources();
    },
    on: {
      batch(event) {
        batches.push(event.row);
        if (batches.length > KEPT) batches = batches.slice(-KEPT);
        completed = event.completed;
        records += event.row[1];
        for (const [name, n] of Object.entries(event.sources)) {
          const source = sources.get(name);
          source?.rows.push([event.time, n ?? 0]);
          if (source && source.rows.length > KEPT) source.rows = source.rows.slice(-KEPT);
        }
        redraw();
      },
      waiting(event) {
        ({ running, waiting } = event);
        redraw();
      },
      receiver: resource,
      report: resource,
    },
    end() {
      figures.forEach((one) => one.end());
      for (const { figure } of sources.values()) figure?.end();
    },
  };
}
