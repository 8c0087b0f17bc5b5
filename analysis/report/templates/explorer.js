"use strict";
(() => {
  const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
  const place = (id) => document.getElementById(id);
  const block = parsed("explorer-data");
  const kept = {};
  let view = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function laidOut() {
    const spec = parsed("explorer-spec");
    const room = place("explorer-views").clientWidth;
    const [top, below] = spec.vconcat;
    const legend = 96, axis = 62;
    if (room < 700) {
      spec.vconcat = [...top.hconcat, below];
      for (const part of top.hconcat) part.width = room - axis;
      below.width = room - axis;
      Object.assign(below.layer[0].encoding.color.legend, {orient: "bottom", columns: 5});
    } else {
      const half = Math.floor((room - 2 * axis - 20) / 2);
      for (const part of top.hconcat) part.width = half;
      below.width = room - axis - legend;
    }
    const ink = colour("--ink"), muted = colour("--muted"), line = colour("--line");
    const font = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
    spec.config = {...spec.config, background: null, font,
      axis: {labelColor: ink, titleColor: ink, domainColor: muted, tickColor: muted, gridColor: line,
        titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12},
      title: {color: ink, anchor: "start", fontSize: 13},
      legend: {labelColor: ink, titleColor: ink, titleFontWeight: "normal"}};
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    below.layer[0].encoding.color.scale.scheme.extent = dark ? [0.35, 1] : [0.05, 0.75];
    spec.datasets = {fits: block.fits, rates: block.rates, replicas: block.replicas};
    return spec;
  }

  function picked(signal) {
    const value = view.signal(signal);
    return value === undefined ? null : value;
  }

  function row(cells, head) {
    const made = document.createElement("tr");
    for (const cell of cells) {
      const one = document.createElement(head ? "th" : "td");
      if (cell instanceof Node) one.append(cell); else one.textContent = cell;
      made.append(one);
    }
    return made;
  }

  function said() {
    const g = Number(view.signal("group")), e = view.signal("preset"), h = Number(view.signal("horizon"));
    const steps = block.steps[g][h];
    const fit = block.fits.find((f) => f.g === g && f.e === e && f.h === h);
    place("explorer-horizon").textContent = `Horizon: ${steps} steps`;
    place("explorer-event").textContent = `Event ${block.events[e]}.`;
    place("explorer-boundary").textContent = fit ? fit.said : "";
    place("explorer-verdict").textContent = fit ? fit.verdict : "";
    const slider = document.querySelector("#explorer-controls input[type=range]");
    if (slider) {
      slider.setAttribute("aria-valuetext", `${steps} steps`);
      const beside = slider.parentElement.querySelector("span:not(.vega-bind-name), label.vega-range");
      if (beside) beside.textContent = `${steps} steps`;
    }
    rows(g, e, steps);
  }

  function rows(g, e, steps) {
    const wd = picked("cell_wd"), id = picked("replica_id"), marked = picked("marked");
    const one = block.replicas.find((r) => r.id === id);
    const shown = block.replicas.filter((r) => r.g === g && 
      (marked ? marked.includes(r.id) : wd !== null ? r.wd === wd : r.id === id));
    const table = place("explorer-rows");
    table.replaceChildren();
    place("explorer-chosen").hidden = !shown.length && !one;
    if (shown.length) table.append(row(["seed", "weight decay", "lr", "outcome at the end", "memorised at", `${e} at`], true));
    for (const r of shown) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `seed ${r.seed}`;
      button.setAttribute("aria-pressed", String(r.id === id));
      button.addEventListener("click", () => { view.signal("replica_id", r.id).runAsync(); });
      const at = (step) => step === null || step === undefined || step > steps ? "not by then" : `step ${step}`;
      const made = row([button, String(r.wd), String(r.lr), r.out, at(r.mem), at(r["t_" + e])], false);
      made.classList.toggle("chosen", r.id === id);
      table.append(made);
    }
    place("explorer-command").textContent = one ? one.cmd || "Its run does not give one." : "";
    place("explorer-again").hidden = !one;
    if (one) place("explorer-who").textContent = `weight decay ${one.wd}, seed ${one.seed}`;
  }

  // Boxes across the times and across the curves mark the replicas that lie in each, in all views.
  function mark() {
    const g = Number(view.signal("group")), event = `t_${view.signal("preset")}`, until = view.signal("until");
    const align = view.signal("align"), series = view.signal("series");
    const known = (value) => value !== null && value !== undefined;
    const seen = (r) => (known(r[event]) && r[event] <= until ? r[event] : null);
    const when = (r) => seen(r) ?? Math.max(1, Math.min(r.end, until));
    const from = {memorisation: (r) => r.mem, event: seen}[align] || (() => 0);
    const at = (r, s) => (align === "decay time" ? s * r.lr * r.wd : s - from(r));
    const within = (value, ends) => value >= Math.min(...ends) && value <= Math.max(...ends);
    const times = view.signal("times_box"), curves = view.signal("curves_box");
    const tests = [];
    if (times && times.x && times.y) tests.push((r) => within(r.x, times.x) && within(when(r), times.y));
    if (curves && curves.at && curves.v) tests.push((r) => known(from(r)) && r.s.some((s, i) => {
      const v = (r[series] || [])[i];
      return s <= until && known(v) && within(at(r, s), curves.at) && within(v, curves.v);
    }));
    const found = tests.length ? block.replicas.filter((r) => r.g === g && tests.every((test) => test(r))) : null;
    view.signal("marked", found && found.map((r) => r.id));
    view.signal("marked_wd", found && found.map((r) => r.wd)).runAsync().then(said);
  }

  function ordered() {
    const order = ["Horizon", "Event", "Group", "Weight decay", "Replica", "Curves", "Aligned"];
    const at = (bind) => order.indexOf(bind.querySelector(".vega-bind-name").textContent.trim());
    const binds = [...place("explorer-controls").querySelectorAll(".vega-bind")];
    place("explorer-controls").append(...binds.sort((a, b) => at(a) - at(b)));
  }

  async function draw() {
    const names = ["group", "preset", "horizon", "series", "align", "cell_wd", "replica_id"];
    if (view) for (const name of names) { try { kept[name] = view.signal(name); } catch { /* no such control */ } }
    place("explorer-controls").replaceChildren();
    const few = block.replicas.length <= 300;
    const made = await vegaEmbed("#explorer-views", laidOut(), {actions: false, renderer: few ? "svg" : "canvas", ast: false});
    if (view) view.finalize();
    view = made.view;
    for (const [name, value] of Object.entries(kept)) if (value !== undefined) view.signal(name, value);
    for (const name of ["times_box", "curves_box", "group", "preset", "until", "series", "align"]) view.addSignalListener(name, mark);
    for (const name of names) { try { view.addSignalListener(name, said); } catch { /* no such control */ } }
    await view.runAsync();
    ordered();
    said();
    window.observatoryView = view;
  }

  place("explorer").hidden = false;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(draw, 150);
  });
})();
