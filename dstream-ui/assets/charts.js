// Time lines, histograms, and the charts of dashboards.

import { clock, h, number, svg, table } from "./dom.js";

const PALETTE = [
  "#2f6fde",
  "#d9822b",
  "#2f9e5b",
  "#b9479b",
  "#7b61d1",
  "#b8a11d",
  "#1f9aa8",
  "#c94f4f",
  "#7a8699",
  "#5c8a1e",
];

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function axes(format) {
  const axis = {
    stroke: style("--soft"),
    grid: { stroke: style("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui",
  };
  return [
    { ...axis, values: [[1, "{HH}:{mm}:{ss}"]], space: 80, size: 26 },
    { ...axis, values: (_, ticks) => ticks.map(format), size: 56, space: 26 },
  ];
}

/** Whether a line at `limit` is on an axis of values up to `high`: where it is near, the axis reaches it. */
export const isNear = (limit, high) => limit !== null && high > limit / 4;

/** Lines over time in `box`: `set(times in ms, [values..])` draws. `limit` is a line at a height. */
export function timeline(box, { labels, format = number, limit = null, colours = null, points = false }) {
  let plot = null;
  const size = () => ({
    width: Math.max(120, box.clientWidth),
    height: Math.max(90, box.clientHeight || 130),
  });
  const hooks =
    limit === null
      ? {}
      : {
          draw: [
            (u) => {
              if (limit > u.scales.y.max) return;
              const y = u.valToPos(limit, "y", true);
              u.ctx.save();
              u.ctx.strokeStyle = style("--bad");
              u.ctx.setLineDash([6, 5]);
              u.ctx.beginPath();
              u.ctx.moveTo(u.bbox.left, y);
              u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
              u.ctx.stroke();
              u.ctx.restore();
            },
          ],
        };
  const series = labels.map((label, at) => ({
    label,
    stroke: colours ? colours[at] : style("--accent"),
    fill: labels.length === 1 ? style("--faint") + "66" : undefined,
    width: 1.5,
    points: { show: points },
  }));
  const watch = new ResizeObserver(() => plot?.setSize(size()));
  watch.observe(box);
  return {
    set(times, values) {
      const data = [times.map((at) => at / 1000), ...values];
      if (plot) return plot.setData(data);
      plot = new uPlot(
        {
          ...size(),
          series: [{}, ...series],
          axes: axes(format),
          hooks,
          legend: { show: false },
          cursor: { y: false, drag: { setScale: false } },
          scales: {
            x: { time: true },
            y: {
              range: (_, low, high) => {
                const top = isNear(limit, high) ? Math.max(high, limit) : high;
                return [Math.min(low, 0), top > 0 ? top * 1.08 : 1];
              },
            },
          },
        },
        data,
        box,
      );
    },
    end() {
      watch.disconnect();
      plot?.destroy();
    },
  };
}

/** How often values fall where, as horizontal bars. */
export function histogram(values, format) {
  const picture = svg("svg", {
    class: "histogram",
    viewBox: "0 0 220 130",
    preserveAspectRatio: "none",
    role: "img",
  });
  if (!values.length) return picture;
  const low = Math.min(...sample(values)),
    high = Math.max(...sample(values));
  const count = high > low ? 8 : 1;
  const bins = new Array(count).fill(0);
  for (const value of values)
    bins[Math.min(count - 1, Math.floor(((value - low) / (high - low || 1)) * count))] += 1;
  const most = Math.max(...bins),
    height = 130 / count;
  picture.setAttribute("aria-label", `from ${format(low)} to ${format(high)}`);
  bins.forEach((n, at) => {
    const y = 130 - (at + 1) * height;
    picture.append(
      svg("rect", {
        x: 62,
        y: y + 1,
        width: (n / most) * 120,
        height: Math.max(1, Math.min(height - 2, 24)),
      }),
    );
    const middle = y + Math.min(height, 26) / 2 + 4;
    picture.append(
      svg("text", { x: 56, y: middle, "text-anchor": "end" }, format(low + ((high - low) * at) / count)),
    );
    if (n) picture.append(svg("text", { x: 66 + (n / most) * 120, y: middle }, number(n)));
  });
  return picture;
}

/** `Math.min(...values)` has a limit to the number of arguments. */
function sample(values) {
  if (values.length < 20_000) return values;
  return values.filter((_, at) => at % Math.ceil(values.length / 20_000) === 0);
}

/** The body of a chart of a dashboard: `update(data)` shows one more batch. */
export function chart(description) {
  return (
    { bar, line, number: figure, table: rows, map }[description.kind]?.(description) ?? {
      content: h("p", { class: "note" }, "This page can't show such a chart yet."),
      update() {},
      end() {},
    }
  );
}

function bar() {
  const content = h("div", { class: "bars" });
  return {
    content,
    update({ data: { bars } }) {
      const most = Math.max(...bars.map(([, n]) => Math.abs(n)), 1e-9);
      content.replaceChildren(
        ...bars.flatMap(([label, n]) => {
          const drawn = h("span", { class: "bar", "aria-hidden": "true" });
          drawn.style.width = (Math.abs(n) / most) * 100 + "%";
          return [
            h("span", { class: "label", title: label }, label),
            drawn,
            h("span", { class: "count" }, number(n)),
          ];
        }),
      );
      if (!bars.length) content.replaceChildren(h("p", { class: "note" }, "Nothing in this batch."));
    },
    end() {},
  };
}

function line({ history }) {
  const box = h("div", { class: "plot" });
  const legend = h("ul", { class: "legend" });
  const batches = [...history];
  let drawn = null,
    known = "[]";
  return {
    content: h("div", {}, box, legend),
    update(update, isNew) {
      if (isNew) batches.push([update.batch, update.data]);
      if (batches.length > 600) batches.shift();
      const lines = new Map();
      // The labels of the newest batch first: they are what the legend shows if there are many.
      for (const [, { points }] of [...batches].reverse())
        for (const [label] of points) if (lines.size < 10) lines.set(label, []);
      const labels = [...lines.keys()].sort();
      for (const [, { points }] of batches) {
        const values = new Map(points);
        for (const label of labels) lines.get(label).push(values.get(label) ?? null);
      }
      // A single line may have no name.
      if (known !== JSON.stringify(labels)) {
        drawn?.end();
        box.replaceChildren();
        drawn = timeline(box, {
          labels,
          colours: labels.map((_, at) => PALETTE[at % PALETTE.length]),
          points: batches.length < 2,
        });
        known = JSON.stringify(labels);
        legend.replaceChildren(
          ...labels
            .map((label, at) => {
              const colour = h("i", {});
              colour.style.background = PALETTE[at % PALETTE.length];
              return label ? h("li", {}, colour, label) : null;
            })
            .filter(Boolean),
        );
      }
      if (labels.length)
        drawn.set(
          batches.map(([at]) => at),
          labels.map((label) => lines.get(label)),
        );
    },
    end() {
      drawn?.end();
    },
  };
}

function figure({ unit, history }) {
  const value = h("p", { class: "big" });
  const box = h("div", { class: "plot" });
  const batches = [...history];
  const drawn = timeline(box, { labels: [unit || ""] });
  return {
    content: h("div", {}, value, box),
    update(update, isNew) {
      if (isNew) batches.push([update.batch, update.data]);
      if (batches.length > 600) batches.shift();
      value.textContent = number(update.data.value);
      drawn.set(
        batches.map(([at]) => at),
        [batches.map(([, data]) => data.value)],
      );
    },
    end() {
      drawn.end();
    },
  };
}

function rows() {
  const content = h("div", {});
  return {
    content,
    update({ data: { columns, rows: cells } }) {
      const isNumber = columns.map((_, at) => cells.some((row) => typeof row[at] === "number"));
      const shown = cells.map((row) =>
        row.map((cell) => (typeof cell === "number" ? number(cell) : cell === null ? "–" : String(cell))),
      );
      content.replaceChildren(
        table(
          columns.map((title, at) => [title, isNumber[at]]),
          shown,
          "Nothing in this batch.",
        ),
      );
    },
    end() {},
  };
}

function map() {
  const picture = svg("svg", {
    class: "map",
    viewBox: "-180 -85 360 170",
    role: "img",
    "aria-label": "map of the world",
  });
  picture.append(svg("rect", { x: -180, y: -85, width: 360, height: 170 }));
  for (let at = -150; at < 180; at += 30)
    picture.append(svg("path", { d: `M${at} -85V85`, "stroke-width": 0.4 }));
  for (let at = -60; at < 85; at += 30)
    picture.append(svg("path", { d: `M-180 ${at}H180`, "stroke-width": at ? 0.4 : 0.8 }));
  const group = svg("g");
  picture.append(group);
  return {
    content: picture,
    update({ data: { points } }) {
      const most = Math.max(...points.slice(0, 1000).map((point) => Math.abs(point.weight)), 1e-9);
      group.replaceChildren(
        ...points.slice(0, 1000).map((point) => {
          const label = `${point.label ?? ""} ${number(point.weight)}`.trim();
          const r = 1 + 5 * Math.sqrt(Math.abs(point.weight) / most);
          return svg("circle", { cx: point.longitude, cy: -point.latitude, r }, svg("title", {}, label));
        }),
        ...points
          .slice(0, 8)
          .filter((point) => point.label)
          .map((point) =>
            svg("text", { x: point.longitude + 5, y: -point.latitude + 2, "font-size": 7 }, point.label),
          ),
      );
    },
    end() {},
  };
}

/** When a chart was last drawn. */
export const batchTime = (at, interval) => clock(at, interval).slice(11);
