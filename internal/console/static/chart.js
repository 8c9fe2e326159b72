// Draws the memory charts: memory, floor, trend and limit of each element with data-chart, brought up to date while the
// page is looked at.
(() => {
  "use strict";
  const every = 5000; // ms between two readings of a chart
  const charts = new Map(); // element to {plot, chart, url, near, visible, reading}
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const offset = Number(document.body.dataset.offset) || 0; // minutes east of UTC, of the gateway

  // The axis shows the gateway's time, as the sentences do: a Date whose local fields are those of the gateway.
  function gatewayTime(seconds) {
    const date = new Date(seconds * 1000);
    return new Date(date.getTime() + (offset + date.getTimezoneOffset()) * 60000);
  }

  function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  function size(bytes) {
    if (bytes == null) return "–";
    for (const [unit, name] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
      if (Math.abs(bytes) >= unit) return String(Number((bytes / unit).toPrecision(3))) + " " + name;
    }
    return bytes + " B";
  }

  function fill(css, alpha) {
    const value = parseInt(css.slice(1), 16);
    return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
  }

  function options(element, known) {
    const axis = { stroke: colour("--muted"), font: "11px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1, size: 4 } };
    const tall = element.classList.contains("tall");
    return {
      width: element.clientWidth, height: tall ? 320 : 160, tzDate: gatewayTime, legend: { show: tall, live: true },
      cursor: { y: false, drag: { x: tall, y: false, setScale: tall }, points: { size: 5 } }, padding: [8, 22, 0, 0],
      scales: { x: { time: true }, y: { range: () => range(known.chart) } },
      axes: [
        { ...axis, size: 38, space: 70, values: [
          [3600 * 24 * 365, "{YYYY}", null, null, null, null, null, null, 1],
          [3600 * 24, "{D} {MMM}", null, null, null, null, null, null, 1],
          [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", null, null, "\n{D} {MMM}", null, null, null, 1],
        ] },
        { ...axis, size: 58, space: 30, values: (_, marks) => marks.map(size) },
      ],
      series: [
        { label: "at", value: "{D} {MMM} {HH}:{mm}:{ss}" },
        { label: "memory", stroke: colour("--c-memory"), fill: range(known.chart)[0] === 0 ? fill(colour("--c-memory"), 0.08) : undefined, width: 1.3, points: { show: false }, value: (_, v) => size(v) },
        { label: "floor", stroke: colour("--c-floor"), width: 1.3, dash: [4, 3], points: { show: false }, value: (_, v) => size(v) },
        { label: "trend", stroke: colour("--c-trend"), width: 2, points: { show: false }, spanGaps: true, value: (_, v) => size(v) },
        { label: "limit", stroke: colour("--c-limit"), width: 1.3, dash: [6, 3], points: { show: false }, value: (_, v) => size(v) },
      ],
    };
  }

  // range is what the axis shows: from zero when the memory varies much, else the part in which it varies, and never so
  // little that noise looks like growth. The limit is in it when it is near.
  function range(chart) {
    const values = chart.memory.concat(chart.floor, chart.trend).filter((v) => v != null);
    let low = Infinity, high = 0;
    for (const v of values) { low = Math.min(low, v); high = Math.max(high, v); }
    if (high <= 0) return [0, 1];
    if (high - low > high / 2) low = 0;
    else low = Math.max(0, Math.min(low, high - high / 5) - (high - low) * 0.1);
    const span = high - low;
    if (chart.limit && chart.limit <= high + span) high = Math.max(high, chart.limit);
    return [low, high + span * 0.08];
  }

  function data(chart) {
    const limit = chart.limit && chart.limit <= range(chart)[1] ? chart.limit : null;
    return [chart.times, chart.memory, chart.floor, chart.trend, chart.times.map(() => limit)];
  }

  function say(element, text) {
    let note = element.querySelector(".chart-note");
    if (!text) { note?.remove(); return; }
    if (!note) { note = document.createElement("p"); note.className = "chart-note"; element.append(note); }
    note.textContent = text;
  }

  async function read(element) {
    const known = charts.get(element);
    if (!known || known.reading) return;
    known.reading = true;
    const url = element.dataset.chart;
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      const chart = await answer.json();
      if (!answer.ok) throw new Error(chart.error || answer.statusText);
      if (!chart.times || chart.times.length === 0) { say(element, "No samples yet."); return; }
      say(element, "");
      const near = range(chart);
      const like = known.plot && known.url === url && (near[0] === 0) === (known.near[0] === 0);
      known.chart = chart;
      if (like) known.plot.setData(data(chart), !zoomed(known.plot));
      else { known.plot?.destroy(); known.plot = new uPlot(options(element, known), data(chart), element); }
      Object.assign(known, { url, near });
      element.classList.add("drawn");
      element.classList.toggle("with-limit", Boolean(chart.limit) && chart.limit <= near[1]);
    } catch (error) {
      say(element, "The chart cannot be had: " + error.message);
    } finally {
      known.reading = false;
    }
  }

  // zoomed tells whether the reader dragged a part of the chart into view, which new samples are not to undo.
  function zoomed(plot) {
    const times = plot.data[0];
    return plot.scales.x.min > times[0] || plot.scales.x.max < times[times.length - 1];
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const known = charts.get(entry.target);
      if (!known) continue;
      known.visible = entry.isIntersecting;
      if (entry.isIntersecting) read(entry.target);
    }
  }, { rootMargin: "200px" });
  const sized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const plot = charts.get(target)?.plot;
      if (plot && contentRect.width > 0 && Math.abs(plot.width - contentRect.width) > 1) plot.setSize({ width: contentRect.width, height: plot.height });
    }
  });

  // gatehouseCharts takes up the charts that are new in the page and lets go of those that left it.
  window.gatehouseCharts = () => {
    for (const [element, known] of charts) {
      if (!element.isConnected) { seen.unobserve(element); sized.unobserve(element); known.plot?.destroy(); charts.delete(element); }
    }
    for (const element of document.querySelectorAll("[data-chart]")) {
      if (charts.has(element)) continue;
      charts.set(element, {});
      seen.observe(element);
      sized.observe(element);
    }
  };

  function redraw() {
    for (const [element, known] of charts) {
      if (!known.plot) continue;
      known.plot.destroy();
      known.plot = new uPlot(options(element, known), data(known.chart), element);
    }
  }

  dark.addEventListener("change", redraw);
  setInterval(() => {
    if (document.hidden) return;
    for (const [element, known] of charts) if (known.visible) read(element);
  }, every);
  window.gatehouseCharts();
})();
