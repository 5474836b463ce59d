// The pages. Each gives its content, what it does with live events (`on`), and how it ends.

import { api, bytes, clock, duration, h, number, problem, soon, table } from "./dom.js";
import { batchTime, chart } from "./charts.js";
import { describe, graph } from "./graph.js";
import { streaming } from "./streaming.js";

/** How many checkpoints are shown. */
const ROWS = 20;

/** All of one batch, as elements. */
function batchOf(batch) {
  const facts = [
    ["Status", batch.status.toLowerCase()],
    ["Planned", clock(batch.planned_at, 1)],
    ["Started", clock(batch.started_at, 1)],
    ["Completed", clock(batch.completed_at, 1)],
    ["Scheduling delay", duration(batch.scheduling_delay)],
    ["Processing time", duration(batch.processing_time)],
    ["Total delay", duration(batch.total_delay)],
    ["Records", number(batch.records)],
  ];
  return [
      problem(batch.error),
      h(
        "div",
        { class: "card" },
        h(
          "dl",
          {},
          facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
        ),
      ),
      h("h2", {}, "Inputs"),
      h(
        "div",
        { class: "card" },
        table(
          [["Source"], ["Records", 1], ["Limit", 1], ["Blocks", 1], ["Bytes", 1], ["What"]],
          batch.inputs.map((i) => [
            i.source,
            number(i.records),
            i.limit === null ? "none" : number(i.limit),
            number(i.blocks),
            bytes(i.bytes),
            h("div", {}, ...i.details.map((line) => h("div", {}, line))),
          ]),
        ),
      ),
      h("h2", {}, "Outputs"),
      h(
        "div",
        { class: "card" },
        table(
          [["Output"], ["Status"], ["Records", 1], ["Time", 1], ["Attempts", 1], ["Error"]],
          batch.outputs.map((o) => [
            o.output,
            h(
              "span",
              { class: o.error ? "bad" : "" },
              o.elapsed === null ? "runs" : o.error ? "failed" : "done",
            ),
            number(o.records),
            duration(o.elapsed),
            number(o.attempts),
            o.error ?? "none",
          ]),
        ),
      ),
      h("h2", {}, "Stages"),
      h(
        "div",
        { class: "card" },
        table(
          [
            ["Stage"],
            ["Operators"],
            ["Records", 1],
            ["Blocks", 1],
            ["Tasks", 1],
            ["Time", 1],
            ["Time of all tasks", 1],
            ["Error"],
          ],
          batch.stages.map((s) => [
            `${s.pipeline}.${s.stage}`,
            s.operators.join(", "),
            number(s.records),
            number(s.blocks),
            number(s.tasks),
            duration(s.elapsed),
            duration(s.busy),
            s.error ?? "none",
          ]),
        ),
      ),
    ].filter(Boolean);
}

async function batches(app, time) {
  let batch = await api(`batches/${encodeURIComponent(time)}`),
    asks = false,
    again = false;
  const content = h("div", {}, ...batchOf(batch));
  /** What is new of it: one question at a time, and once more if something has happened meanwhile. */
  async function draw() {
    again = true;
    if (asks) return;
    asks = true;
    try {
      while (again) {
        again = false;
        batch = await api(`batches/${batch.time}`);
        content.replaceChildren(...batchOf(batch));
      }
    } catch (error) {
      content.prepend(problem(error.message));
    } finally {
      asks = false;
    }
  }
  const update = (at) => at === batch.time && batch.status !== "COMPLETED" && draw();
  return {
    content: [
      h("h1", {}, `Batch ${clock(batch.time, app.batch_interval)}`),
      h("p", { class: "lead" }, h("a", { href: "/" }, "All batches")),
      content,
    ],
    // It may have gone on before this page was shown.
    ready: () => update(batch.time),
    on: { progress: (event) => update(event.batch), batch: (event) => update(event.time) },
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
      const stage = (op) =>
        one.stages
          .filter((s) => s.operators.includes(op.id))
          .map((s) => s.id)
          .join(", ");
      tables[at].replaceChildren(
        table(
          [["Operator"], ["Stream"], ["Reads"], ["Stage"], ["Live"], ["Source"]],
          one.operators.map((op) => [
            `${op.operator}(${op.arguments})`,
            op.stream ?? "",
            op.inputs.map((from) => one.operators[from].stream ?? one.operators[from].operator).join(", "),
            stage(op),
            of(op) ? describe(of(op)) : "",
            `${op.file}:${op.line}`,
          ]),
        ),
      );
    });
  }
  const redraw = soon(draw, 1000);
  return {
    content: [
      h("h1", {}, "Pipeline"),
      h(
        "p",
        { class: "lead" },
        "What the compiler made of the program. A loop runs over the records that it reads; " +
          "the bar is its share of the time of all loops.",
      ),
      ...graphs.flatMap((one, at) => [
        h("h2", {}, `Pipeline ${at}`),
        one.content,
        h("details", {}, h("summary", {}, "The same as a table"), tables[at]),
      ]),
    ],
    ready: draw,
    on: { batch: redraw },
  };
}

/** A form that looks up what an operator with state keeps of a key. */
function lookUp(app) {
  const all = app.plan.pipelines.flatMap((pipeline) => pipeline.operators);
  const names = all.filter((op) => op.keeps === "state" && op.name).map((op) => op.name);
  if (!names.length) return [];
  const operator = h("select", { name: "operator" }, ...names.map((name) => h("option", {}, name)));
  const key = h("input", { name: "key", type: "text", autocomplete: "off", required: "" });
  const found = h("div", { role: "status" });
  const ask = async (event) => {
    event.preventDefault();
    try {
      const query = new URLSearchParams({ operator: operator.value, key: key.value });
      const answer = await api(`kept/look_up?${query}`);
      const as_of = `As of the batch at ${clock(answer.batch, app.batch_interval)}`;
      const last = clock(answer.changed, app.batch_interval);
      found.replaceChildren(
        h(
          "p",
          { class: "note" },
          answer.found ? `${as_of}; it was last seen or changed at ${last}.` : `${as_of}, it has no value.`,
        ),
        ...(answer.found ? [h("pre", { class: "card found" }, JSON.stringify(answer.value, null, 2))] : []),
      );
    } catch (error) {
      found.replaceChildren(problem(error.message));
    }
  };
  return [
    h("h2", {}, "Look up a key"),
    h(
      "form",
      { class: "lookup", onsubmit: ask },
      h("label", {}, "Operator ", operator),
      h("label", {}, "Key, as text or JSON ", key),
      h("button", { type: "submit" }, "Look up"),
    ),
    found,
  ];
}

async function state(app) {
  const kept = h("div", { class: "card" }),
    written = h("div", { class: "card" }),
    sum = h("p", { class: "note" });
  async function draw() {
    const [states, checkpoints] = await Promise.all([api("kept"), api("checkpoints")]);
    kept.replaceChildren(
      table(
        [["Operator"], ["Kind"], ["Keeps"], ["Window"], ["Keys", 1], ["Bytes, about", 1], ["Oldest"]],
        states.map((s) => [
          s.operator,
          s.kind,
          s.keeps,
          s.window ? `${duration(s.window.length)} every ${duration(s.window.slide)}` : "",
          number(s.keys),
          bytes(s.estimated_bytes),
          clock(s.oldest, app.batch_interval),
        ]),
        "This program keeps nothing between batches, or no batch has completed yet.",
      ),
    );
    sum.textContent = checkpoints.place
      ? `${number(checkpoints.count)} written to ${checkpoints.place}, ${bytes(checkpoints.bytes)} in all.`
      : "This program has no checkpoint.";
    written.replaceChildren(
      table(
        [["Batch"], ["Bytes", 1], ["Time", 1]],
        checkpoints.recent
          .slice(0, ROWS)
          .map((c) => [clock(c.batch, app.batch_interval), bytes(c.bytes), duration(c.elapsed)]),
        "None has been written.",
      ),
    );
  }
  return {
    content: [
      h("h1", {}, "State"),
      h("p", { class: "lead" }, "What is kept between batches."),
      kept,
      ...lookUp(app),
      h("h2", {}, "Checkpoints"),
      sum,
      written,
    ],
    ready: draw,
    on: { batch: soon(draw, 1000) },
  };
}

async function dashboard(app, id) {
  const shown = new Map();
  const board = h("div", { class: id ? "" : "board" });
  const none = h(
    "p",
    { class: "note" },
    "No chart has had a batch yet. An output makes one: ",
    h("code", {}, 'counts.dashboard("Top words", Chart::bar())'),
  );
  function add(description) {
    const body = chart(description),
      at = h("span", {});
    const link = h("a", { href: `/dashboard/${encodeURIComponent(description.id)}` }, description.title);
    const unit = description.unit ? description.unit + " · " : "";
    board.append(
      h(
        "section",
        { class: "card chart", "aria-label": description.title },
        h("h2", {}, link, at),
        body.content,
      ),
    );
    none.remove();
    const one = {
      body,
      show(update, isNew) {
        at.textContent = unit + batchTime(update.batch, app.batch_interval);
        body.update(update, isNew);
      },
    };
    shown.set(description.id, one);
    return one;
  }
  const found = id ? [await api(`charts/${encodeURIComponent(id)}`)] : await api("charts");
  return {
    content: [
      h("h1", {}, id ? found[0].title : "Dashboard"),
      h(
        "p",
        { class: "lead" },
        id ? h("a", { href: "/dashboard" }, "All charts") : "Charts of the newest batch.",
      ),
      none,
      board,
    ],
    // A line needs to know how wide its box is.
    ready() {
      for (const one of found) add(one).show(one, false);
    },
    on: {
      chart(event) {
        if (id && event.id !== id) return;
        const known = shown.get(event.id);
        if (known) known.show(event, true);
        else add({ ...event.chart, history: [] }).show(event, true);
      },
    },
    end() {
      for (const { body } of shown.values()) body.end();
    },
  };
}

async function settings(app) {
  const rows = [
    ["name", app.name],
    ["batch interval", duration(app.batch_interval)],
    ["checkpoint", app.plan.checkpoint ?? "none"],
    ...app.plan.settings.map(({ name, value }) => [name, value]),
    ["dstream", app.version],
  ];
  return {
    content: [
      h("h1", {}, "Settings"),
      h("p", { class: "lead" }, "How this program runs."),
      h(
        "div",
        { class: "card" },
        h(
          "dl",
          {},
          rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
        ),
      ),
      app.dropped_events
        ? problem(`${number(app.dropped_events)} events are missing here, since this page could not keep up.`)
        : null,
    ].filter(Boolean),
  };
}

export const pages = { streaming, batches, graph: pipeline, state, dashboard, settings };
