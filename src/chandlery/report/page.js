"use strict";
(() => {
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const paint = (value) => {
    if (typeof value === "string") return value.startsWith("--") ? colour(value) : value;
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, paint(inner)]));
    return value;
  };
  const tools = root.dataset.tools === "yes";
  const config = { displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const draw = (place) => {
    const held = JSON.parse(document.querySelector(`script[data-for="${place.id}"]`).textContent);
    const clear = "rgba(0,0,0,0)";
    const shared = { paper_bgcolor: clear, plot_bgcolor: clear, font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--ink") }, modebar: { bgcolor: clear, color: colour("--muted"), activecolor: colour("--link") }, hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--ink") } } };
    const figure = paint(held);
    const narrow = place.clientWidth < 600;
    if (narrow) {
      for (const trace of figure.data) if (trace.type === "heatmap") trace.xgap = trace.ygap = 0; // the cells are too narrow for gaps between them
      figure.layout.dragmode = false; // a finger scrolls the page
    }
    place.dataset.drawn = "yes";
    return Plotly.react(place, figure.data, { ...shared, ...figure.layout }, { ...config, displayModeBar: tools && !narrow });
  };
  const places = [...document.querySelectorAll(".plot")];
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        seen.unobserve(target);
        draw(target);
      }
    }
  }, { rootMargin: "500px" });
  const choose = (symbol) => {
    for (const block of document.querySelectorAll(".of-symbol")) block.hidden = block.dataset.symbol !== symbol;
    window.dispatchEvent(new Event("resize")); // figures drawn while hidden take their width
  };
  const chooser = document.getElementById("symbol");
  if (chooser) {
    chooser.addEventListener("change", () => choose(chooser.value));
    choose(chooser.value);
  }
  places.forEach((place) => seen.observe(place));
  const redraw = () => places.filter((place) => place.dataset.drawn).forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => places.filter((place) => !place.dataset.drawn && place.offsetParent).forEach(draw));
})();
