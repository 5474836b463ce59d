// The pipelines as graphs: operators in columns, each behind what it reads.

import { h, number, svg } from "./dom.js";

const WIDTH = 196,
  HEIGHT = 58,
  GAP_X = 46,
  GAP_Y = 34,
  MARGIN = 22;

/** The column of each operator: the longest way from a source. */
function columns(operators) {
  const column = [];
  // Operators come behind what they read, in the order of the program.
  for (const op of operators)
    column[op.id] = op.inputs.length ? Math.max(...op.inputs.map((from) => column[from] ?? 0)) + 1 : 0;
  return column;
}

/** The place of each operator: in its column, beside the middle of what it reads where that is free. */
function places(operators) {
  const column = columns(operators),
    rows = [],
    at = [];
  for (const op of operators) {
    const x = column[op.id];
    const wanted = op.inputs.length
      ? op.inputs.reduce((sum, from) => sum + at[from].row, 0) / op.inputs.length
      : 0;
    const taken = (rows[x] ??= new Set());
    let row = Math.round(wanted);
    while (taken.has(row)) row += 1;
    taken.add(row);
    at[op.id] = { column: x, row };
  }
  return at;
}

const short = (text, length) => (text.length > length ? text.slice(0, length - 1) + "…" : text);

/** How far the box of a stage reaches beyond its operators. */
const AROUND = 9;

/**
 * The box around the operators whose records one loop hands on without an end: what it reads if that is a source,
 * and what runs record by record. What needs the whole batch is outside, between stages.
 */
function stageBox(stage, pipeline, at, x, y) {
  const inside = pipeline.operators.filter(
    (op) =>
      (op.id === stage.reads && op.kind === "source") ||
      (stage.operators.includes(op.id) && (op.kind === "narrow" || op.kind === "forward")),
  );
  if (!inside.length) return null;
  const boxes = inside.map((op) => ({
    x: x(op.id) - AROUND,
    y: y(op.id) - AROUND,
    width: WIDTH + 2 * AROUND,
    height: HEIGHT + 2 * AROUND,
  }));
  // What joins neighbours in a row or a column, and what an operator of the stage reads in another row.
  for (const one of inside)
    for (const other of inside) {
      const [a, b] = [at[one.id], at[other.id]];
      const beside = a.row === b.row && b.column === a.column + 1;
      const below = a.column === b.column && b.row === a.row + 1;
      const reads = other.inputs.includes(one.id) && b.column === a.column + 1 && a.row !== b.row;
      if (beside || below)
        boxes.push({
          x: x(one.id) - AROUND,
          y: y(one.id) - AROUND,
          width: (beside ? WIDTH + GAP_X + WIDTH : WIDTH) + 2 * AROUND,
          height: (below ? HEIGHT + GAP_Y + HEIGHT : HEIGHT) + 2 * AROUND,
        });
      else if (reads) {
        const [top, end] = [Math.min(y(one.id), y(other.id)), Math.max(y(one.id), y(other.id))];
        boxes.push({
          x: x(other.id) - AROUND - 12,
          y: top + HEIGHT / 2 - 12,
          width: 24,
          height: end - top + 24,
        });
        boxes.push({
          x: x(one.id) + WIDTH,
          y: y(one.id) + HEIGHT / 2 - 12,
          width: GAP_X,
          height: 24,
        });
      }
    }
  // All outlines first, then what covers them: together they look like one shape.
  const drawn = (name) => boxes.map((box) => svg("rect", { ...box, class: name, rx: 12 }));
  const first = inside.reduce((a, b) => (at[b.id].column < at[a.id].column ? b : a));
  return svg(
    "g",
    { class: "stage" },
    svg("title", {}, `stage ${stage.id}: one loop over the records`),
    ...drawn("outline"),
    ...drawn("inside"),
    svg("text", { x: x(first.id) - 2, y: y(first.id) - AROUND - 4 }, `stage ${stage.id}`),
  );
}

/** A pipeline; `figures(operators)` shows new ones. */
export function graph(pipeline) {
  const at = places(pipeline.operators);
  const x = (id) => at[id].column * (WIDTH + GAP_X) + MARGIN;
  const y = (id) => at[id].row * (HEIGHT + GAP_Y) + MARGIN;
  const width = Math.max(...at.map((place) => place.column + 1)) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN;
  const height = Math.max(...at.map((place) => place.row + 1)) * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN;
  const picture = svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `pipeline ${pipeline.id} as a graph; the table below has the same`,
  });
  for (const stage of pipeline.stages) {
    const box = stageBox(stage, pipeline, at, x, y);
    if (box) picture.append(box);
  }
  for (const op of pipeline.operators) {
    for (const from of op.inputs) {
      const [x1, y1, x2, y2] = [x(from) + WIDTH, y(from) + HEIGHT / 2, x(op.id), y(op.id) + HEIGHT / 2];
      picture.append(svg("path", { d: `M${x1} ${y1}C${x1 + 26} ${y1} ${x2 - 26} ${y2} ${x2} ${y2}` }));
    }
  }
  const live = new Map();
  for (const op of pipeline.operators) {
    const node = svg("g", {
      transform: `translate(${x(op.id)} ${y(op.id)})`,
      class: `operator ${op.kind === "handle" ? "output" : op.kind}${op.computed ? "" : " unused"}`,
    });
    const share = svg("rect", { class: "share", x: 0, y: HEIGHT - 4, width: 0, height: 4, rx: 2 });
    const figures = svg("text", { x: 12, y: 48 });
    const title = (op.stream ? op.stream + " = " : "") + op.operator;
    const what = op.kind === "source" && op.name ? op.name : `${op.file.split("/").pop()}:${op.line}`;
    node.append(
      svg("title", {}, `${title}(${op.arguments}) at ${op.file}:${op.line}:${op.column}`),
      svg("rect", { class: "node", width: WIDTH, height: HEIGHT, rx: 9 }),
      svg("text", { class: "name", x: 12, y: 20 }, short(title, 22)),
      svg("text", { x: 12, y: 35 }, short(what, 30)),
      figures,
      share,
    );
    live.set(op.id, { figures, share });
    picture.append(node);
  }
  return {
    content: h(
      "div",
      {
        class: "graph card",
        tabindex: "0",
        role: "region",
        "aria-label": `graph of pipeline ${pipeline.id}`,
      },
      picture,
    ),
    figures(operators) {
      for (const op of operators) {
        const node = op.pipeline === pipeline.id && live.get(op.operator);
        if (!node) continue;
        node.figures.textContent = describe(op);
        node.share.setAttribute("width", (op.share || 0) * WIDTH);
      }
    },
  };
}

/** The live figures of an operator, in short. */
export function describe(op) {
  const parts = [];
  if (op.records_per_second !== null && op.records_per_second !== undefined)
    parts.push(number(op.records_per_second) + "/s");
  if (op.share) parts.push(number(Math.round(op.share * 100)) + " %");
  if (op.keys !== null && op.keys !== undefined) parts.push(number(op.keys) + " keys");
  return parts.join(" · ");
}
