// Draws the charts of a page from their specifications, as wide as there is room. Without it there are pictures.
(() => {
  "use strict";
  // By name: what is shown, so that a part of the page that is renewed keeps its picture until the next one is ready.
  const drawn = new Map();
  const AGAIN = 10000;

  const fitted = (spec, width) =>
    spec.vconcat ? { ...spec, vconcat: spec.vconcat.map((one) => fitted(one, width)) } : { ...spec, width: Math.max(80, width) };

  const options = {
    // Expressions are interpreted: the policy of this page forbids to make code of text.
    ast: true,
    actions: false,
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  };

  const told = async (figure) => {
    const template = figure.querySelector("template");
    if (template) return template.content.textContent;
    const answer = await fetch(figure.dataset.src);
    // Nothing to show is an answer, too: 204.
    return answer.ok ? answer.text() : "";
  };

  const draw = async (figure) => {
    const plot = figure.querySelector(".plot");
    const name = figure.dataset.chart;
    const width = Math.floor(plot.clientWidth);
    if (!width) return;
    const known = drawn.get(name) || {};
    if (known.host && known.host.parentNode !== plot) plot.replaceChildren(known.host);
    // Who looks at a mark closely is left alone.
    if (known.host && known.host.matches(":hover")) {
      known.host.addEventListener("pointerleave", () => draw(figure), { once: true });
      return;
    }
    if (figure.dataset.src && known.at && Date.now() - known.at < AGAIN && known.width === width) return;
    const text = await told(figure);
    figure.classList.toggle("absent", !text);
    if (!text || (known.text === text && known.width === width)) return;
    const turn = (known.turn || 0) + 1;
    drawn.set(name, { ...known, turn });
    const spec = JSON.parse(text);
    const host = document.createElement("div");
    host.setAttribute("aria-hidden", "true");
    const made = await window.vegaEmbed(host, fitted(spec, width - spec.usermeta.inset), options);
    const now = drawn.get(name);
    if (now.turn !== turn) {
      made.finalize();
      return;
    }
    if (now.made) now.made.finalize();
    drawn.set(name, { host, made, text, width, turn, at: Date.now() });
    // The part may have been renewed meanwhile.
    const place = document.querySelector(`figure[data-chart="${CSS.escape(name)}"] .plot`);
    if (place) place.replaceChildren(host);
  };

  const all = (within) => {
    for (const figure of within.querySelectorAll("figure[data-chart]")) {
      draw(figure).catch((problem) => {
        figure.classList.add("failed");
        console.error(problem);
      });
    }
  };

  // Paper is narrower than the screen, and what is drawn keeps its shape.
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => all(document), 150);
  });
  document.addEventListener("crossfade:renewed", (event) => all(event.target));
  document.addEventListener("toggle", (event) => event.target.open && all(event.target), true);
  all(document);
})();
