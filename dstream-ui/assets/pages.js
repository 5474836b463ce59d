// The pages. Each gives its content, what it does with live events (`on`), and how it ends.

import { api, bytes, clock, duration, h, number, table } from "./app.js";
import { batchTime, chart, histogram, timeline } from "./charts.js";
import { describe, graph } from "./graph.js";

const ROWS = 20;
const KEPT = 10_000;

/** Calls `work` soon, once for many calls. */
function soon(work, after = 0) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    setTimeout(() => requestAnimationFrame(() => { asked = false; work(); }), after);
  };
}

const problem = (text) => (text ? h("p", { class: "problem" }, text) : null);

/** A figure of all batches: its newest value, a time line and a histogram. */
function figure(title, unit, format, limit = null) {
  const value = h("p", { class: "value" }), mean = h("p", {});
  const plot = h("div", { class: "plot" }), spread = h("div", {});
  const drawn = timeline(plot, { labels: [title], format: (n) => format(n), limit });
  return {
    content: h("section", { class: "card figure", "aria-label": title }, h("div", {}, h("h2", {}, title), value, mean), plot, spread),
    set(times, values) {
      const known = values.filter((n) => n !== null);
      const last = known.at(-1);
      value.replaceChildren(last === undefined ? "–" : format(last), h("span", { class: "unit" }, unit));
      mean.textContent = known.length ? "on average " + format(known.reduce((a, b) => a + b, 0) / known.length) + unit + (limit === null ? "" : `, of an interval of ${format(limit)}`) : "";
      drawn.set(times, [values]);
      spread.replaceChildren(histogram(known, format));
    },
    end: drawn.end,
  };
}

async function streaming(app) {
  const line = await api("timeline");
  let batches = line.batches, running = app.running, waiting = app.waiting, completed = app.completed, records = app.records;
  const seconds = app.batch_interval / 1000;
  const rate = figure("Input rate", " records/s", number);
  const scheduling = figure("Scheduling delay", "", duration);
  const processing = figure("Processing time", "", duration, app.batch_interval);
  const total = figure("Total delay", "", duration);
  const figures = [rate, scheduling, processing, total];
  const sources = new Map(Object.entries(line.sources).map(([name, rows]) => [name, { rows, figure: null }]));
  const perSource = h("div", {});
  const details = h("details", {}, h("summary", {}, `Input rate of each source (${sources.size})`), perSource);
  details.addEventListener("toggle", () => {
    for (const [name, source] of sources) {
      if (details.open && !source.figure) {
        source.figure = figure(name, " records/s", number);
        perSource.append(source.figure.content);
      }
    }
    if (details.open) draw();
  });
  const lead = h("p", { class: "lead" }), active = h("div", {}), list = h("div", {}), errors = h("div", {}), sourceTable = h("div", {});
  let first = 0;

  function draw() {
    const since = app.started_at === null ? 0 : (app.stopped_at ?? Math.max(Date.now(), app.now)) - app.started_at;
    lead.textContent = `Running batches of ${duration(app.batch_interval)} for ${duration(since)} since ${clock(app.started_at)} `
      + `(${number(completed)} completed batches, ${number(records)} records)`;
    const times = batches.map((row) => row[0]);
    rate.set(times, batches.map((row) => row[1] / seconds));
    scheduling.set(times, batches.map((row) => row[2]));
    processing.set(times, batches.map((row) => row[3]));
    total.set(times, batches.map((row) => row[4]));
    for (const { rows, figure } of sources.values()) figure?.set(rows.map(([at]) => at), rows.map(([, n]) => n / seconds));
    drawList();
  }

  function drawList() {
    const newest = [...batches].reverse();
    if (first >= newest.length) first = Math.max(0, newest.length - ROWS);
    const rows = newest.slice(first, first + ROWS).map(([at, n, scheduled, processed, all, failed, done, outputs]) => [
      h("a", { href: `/batches/${at}` }, clock(at, app.batch_interval)), number(n), duration(scheduled), duration(processed), duration(all),
      h("span", { class: failed ? "bad" : "" }, `${done}/${outputs}` + (failed ? " failed" : "")),
    ]);
    const columns = [["Batch"], ["Records", 1], ["Scheduling delay", 1], ["Processing time", 1], ["Total delay", 1], ["Outputs done", 1]];
    const turnTo = (to) => () => { first = to; drawList(); };
    list.replaceChildren(h("div", { class: "card" }, table(columns, rows, "No batch has completed yet.")),
      h("div", { class: "pager" },
        h("button", { type: "button", disabled: first === 0 ? "" : null, onclick: turnTo(Math.max(0, first - ROWS)) }, "Newer"),
        h("button", { type: "button", disabled: first + ROWS >= newest.length ? "" : null, onclick: turnTo(first + ROWS) }, "Older"),
        newest.length ? `${first + 1} to ${Math.min(first + ROWS, newest.length)} of ${newest.length} that are kept` : ""));
    active.replaceChildren(h("p", { class: "note" }, `${running ? "1 batch is being processed" : "No batch is being processed"}, ${number(waiting)} ${waiting === 1 ? "waits" : "wait"}.`));
  }

  async function drawSources() {
    const [found, reports] = await Promise.all([api("streaming/receivers"), api("reports")]);
    sourceTable.replaceChildren(h("div", { class: "card" }, table([["Source"], ["Status"], ["Records/s on average", 1], ["Last error"]],
      found.map((s) => [s.streamName, s.isActive ? "active" : "inactive", number(s.avgEventRate),
        s.lastError ? `${clock(s.lastErrorTime)}: ${s.lastError}` : "none"]))));
    errors.replaceChildren(...reports.slice(0, 10).map(({ at, error }) => h("p", { class: "problem" }, `${clock(at)}: ${error}`)));
  }

  const redraw = soon(draw, 50), resource = soon(drawSources, 500);
  return {
    content: [h("h1", {}, "Streaming"), lead, problem(app.error), app.behind && problem(`Batches are ${duration(app.behind.delay)} late, and ${app.behind.waiting} wait.`),
      ...figures.map((one) => one.content), details, h("h2", {}, "Sources"), sourceTable, h("h2", {}, "Running and waiting batches"), active,
      h("h2", {}, "Completed batches"), list, h("h2", {}, "Reports"), errors].filter(Boolean),
    ready() { draw(); drawSources(); },
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
      waiting(event) { ({ running, waiting } = event); redraw(); },
      receiver: resource,
      report: resource,
    },
    end() {
      figures.forEach((one) => one.end());
      for (const { figure } of sources.values()) figure?.end();
    },
  };
}

async function batches(app, time) {
  const batch = await api(`batches/${encodeURIComponent(time)}`);
  const facts = [["Status", batch.status.toLowerCase()], ["Planned", clock(batch.planned_at, 1)], ["Started", clock(batch.started_at, 1)],
    ["Completed", clock(batch.completed_at, 1)], ["Scheduling delay", duration(batch.scheduling_delay)],
    ["Processing time", duration(batch.processing_time)], ["Total delay", duration(batch.total_delay)], ["Records", number(batch.records)]];
  return {
    content: [
      h("h1", {}, `Batch ${clock(batch.time, app.batch_interval)}`), h("p", { class: "lead" }, h("a", { href: "/" }, "All batches")), problem(batch.error),
      h("div", { class: "card" }, h("dl", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
      h("h2", {}, "Inputs"), h("div", { class: "card" }, table([["Source"], ["Records", 1], ["Blocks", 1], ["Bytes", 1]],
        batch.inputs.map((i) => [i.source, number(i.records), number(i.blocks), bytes(i.bytes)]))),
      h("h2", {}, "Outputs"), h("div", { class: "card" }, table([["Output"], ["Status"], ["Time", 1], ["Attempts", 1], ["Error"]],
        batch.outputs.map((o) => [o.output, h("span", { class: o.error ? "bad" : "" }, o.elapsed === null ? "runs" : o.error ? "failed" : "done"),
          duration(o.elapsed), number(o.attempts), o.error ?? "none"]))),
      h("h2", {}, "Stages"), h("div", { class: "card" }, table([["Stage"], ["Operators"], ["Records", 1], ["Blocks", 1], ["Tasks", 1], ["Time", 1], ["Time of all tasks", 1], ["Error"]],
        batch.stages.map((s) => [`${s.pipeline}.${s.stage}`, s.operators.join(", "), number(s.records), number(s.blocks), number(s.tasks), duration(s.elapsed), duration(s.busy), s.error ?? "none"]))),
    ].filter(Boolean),
  };
}

async function pipeline(app) {
  const graphs = app.plan.pipelines.map((one) => graph(one));
  const tables = app.plan.pipelines.map(() => h("div", { class: "card" }));
  async function draw() {
    const figures = await api("operators");
    graphs.forEach((one) => one.figures(figures));
    app.plan.pipelines.forEach((one, at) => {
      const of = (op) => figures.find((found) => found.pipeline === one.id && found.operator === op.id);
      const stage = (op) => one.stages.filter((s) => s.operators.includes(op.id)).map((s) => s.id).join(", ");
      tables[at].replaceChildren(table([["Operator"], ["Stream"], ["Reads"], ["Stage"], ["Live"], ["Source"]], one.operators.map((op) => [
        `${op.operator}(${op.arguments})`, op.stream ?? "", op.inputs.map((from) => one.operators[from].stream ?? one.operators[from].operator).join(", "), stage(op), of(op) ? describe(of(op)) : "", `${op.file}:${op.line}`])));
    });
  }
  const redraw = soon(draw, 1000);
  return {
    content: [h("h1", {}, "Pipeline"), h("p", { class: "lead" }, "What the compiler made of the program. A loop runs over the records that it reads; the bar is its share of the time of all loops."),
      ...graphs.flatMap((one, at) => [h("h2", {}, `Pipeline ${at}`), one.content, h("details", {}, h("summary", {}, "The same as a table"), tables[at])])],
    ready: draw,
    on: { batch: redraw },
  };
}

async function state(app) {
  const kept = h("div", { class: "card" }), written = h("div", { class: "card" }), sum = h("p", { class: "note" });
  async function draw() {
    const [states, checkpoints] = await Promise.all([api("kept"), api("checkpoints")]);
    kept.replaceChildren(table([["Operator"], ["Kind"], ["Keeps"], ["Window"], ["Keys", 1]], states.map((s) => [s.operator, s.kind, s.keeps,
      s.window ? `${duration(s.window.length)} every ${duration(s.window.slide)}` : "", number(s.keys)]), "This program keeps nothing between batches, or no batch has completed yet."));
    sum.textContent = checkpoints.place ? `${number(checkpoints.count)} written to ${checkpoints.place}, ${bytes(checkpoints.bytes)} in all.` : "This program has no checkpoint.";
    written.replaceChildren(table([["Batch"], ["Bytes", 1], ["Time", 1]], checkpoints.recent.slice(0, ROWS).map((c) => [clock(c.batch, app.batch_interval), bytes(c.bytes), duration(c.elapsed)]), "None has been written."));
  }
  return {
    content: [h("h1", {}, "State"), h("p", { class: "lead" }, "What is kept between batches."), kept, h("h2", {}, "Checkpoints"), sum, written],
    ready: draw,
    on: { batch: soon(draw, 1000) },
  };
}

async function dashboard(app, id) {
  const shown = new Map();
  const board = h("div", { class: id ? "" : "board" });
  const none = h("p", { class: "note" }, "No chart has had a batch yet. An output makes one: ", h("code", {}, 'counts.dashboard("Top words", Chart::bar())'));
  function add(description) {
    const body = chart(description), at = h("span", {});
    const link = h("a", { href: `/dashboard/${encodeURIComponent(description.id)}` }, description.title);
    const unit = description.unit ? description.unit + " · " : "";
    board.append(h("section", { class: "card chart", "aria-label": description.title }, h("h2", {}, link, at), body.content));
    none.remove();
    const one = { body, show(update, isNew) { at.textContent = unit + batchTime(update.batch, app.batch_interval); body.update(update, isNew); } };
    shown.set(description.id, one);
    return one;
  }
  const found = id ? [await api(`charts/${encodeURIComponent(id)}`)] : await api("charts");
  return {
    content: [h("h1", {}, id ? found[0].title : "Dashboard"), h("p", { class: "lead" }, id ? h("a", { href: "/dashboard" }, "All charts") : "Charts of the newest batch."), none, board],
    // A line needs to know how wide its box is.
    ready() { for (const one of found) add(one).show(one, false); },
    on: {
      chart(event) {
        if (id && event.id !== id) return;
        const known = shown.get(event.id);
        if (known) known.show(event, true);
        else add({ ...event.chart, history: [] }).show(event, true);
      },
    },
    end() { for (const { body } of shown.values()) body.end(); },
  };
}

async function settings(app) {
  const rows = [["name", app.name], ["batch interval", duration(app.batch_interval)], ["checkpoint", app.plan.checkpoint ?? "none"],
    ...app.plan.settings.map(({ name, value }) => [name, value]), ["dstream", app.version]];
  return {
    content: [h("h1", {}, "Settings"), h("p", { class: "lead" }, "How this program runs."),
      h("div", { class: "card" }, h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
      app.dropped_events ? problem(`${number(app.dropped_events)} events are missing here, since this page could not keep up.`) : null].filter(Boolean),
  };
}

export const pages = { streaming, batches, graph: pipeline, state, dashboard, settings };
