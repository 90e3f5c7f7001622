/* What the browser does by itself: choices go into the address, figures and data into files, colours follow the system. */
(function () {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("coordeval-theme"); } catch { return null; } };
  const theme = () => stored() || (dark.matches ? "dark" : "light");
  const paint = (name) => { document.documentElement.dataset.theme = name; return name; };
  paint(theme());
  document.documentElement.lang = "en";

  function go(href) {
    if (!href.startsWith("/") || href.startsWith("//")) return;
    history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  }

  function choose(field, value, path) {
    const said = new URLSearchParams(location.search);
    if (value) said.set(field, value); else said.delete(field);
    if (field === "study") for (const own of ["category", "decile", "replicate", "configuration", "first", "second", "market", "forecast"]) said.delete(own);
    const rest = said.toString();
    go((path || location.pathname) + (rest ? "?" + rest : ""));
  }

  document.addEventListener("change", (event) => {
    const own = event.target;
    if (own.type === "search" && own.id === `choose-${own.name}`) return choose(own.name, own.value);
    if (!own.dataset || !own.dataset.field) return;
    if (own.type === "checkbox") {
      const all = [...document.querySelectorAll(`input[type=checkbox][data-field="${own.dataset.field}"]`)];
      choose(own.dataset.field, all.filter((one) => one.checked).map((one) => one.value).join(","));
    } else choose(own.dataset.field, own.value, own.dataset.path);
  });

  /* While somebody types, the page is not made anew under the text; it follows the ledger again when the text is sent or left. */
  const typing = (on) => (event) => {
    if (event.target.type === "search") window.dash_clientside.set_props("tick", { disabled: on });
  };
  document.addEventListener("input", typing(true));
  document.addEventListener("change", typing(false));
  document.addEventListener("focusout", typing(false));
  /* Dash's box puts the caret back to where it stood after each key, a moment later: into the middle of what came since. */
  document.addEventListener("focusin", (event) => {
    if (event.target.type === "search") event.target.setSelectionRange = () => {};
  });

  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /* A graph of a configuration is an SVG already; a PNG is made of it at twice its size. */
  function drawn(image, name, kind) {
    const text = decodeURIComponent(image.src.slice(image.src.indexOf(",") + 1));
    if (kind === "svg") return save(name + ".svg", new Blob([text], { type: "image/svg+xml" }));
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(name + ".png", blob));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button");
    if (!button) return;
    if (button.dataset.csv !== undefined) save(button.dataset.name + ".csv", new Blob([button.dataset.csv], { type: "text/csv" }));
    if (button.dataset.image) {
      const plot = button.closest("figure").querySelector(".js-plotly-plot");
      const box = plot.getBoundingClientRect();
      window.Plotly.downloadImage(plot, {
        format: button.dataset.image, filename: button.dataset.name, width: Math.round(box.width), height: Math.round(box.height), scale: 2,
      });
    }
    if (button.dataset.drawing) drawn(button.closest("figure").querySelector("img"), button.dataset.name, button.dataset.drawing);
    if (button.dataset.go) go(button.dataset.go);
  });

  /* On a phone a legend takes a line for each entry: a figure grows by it, so that what is drawn keeps its room. */
  function grow() {
    if (window.innerWidth > 620) return;
    for (const plot of document.querySelectorAll("main .js-plotly-plot")) {
      const full = plot._fullLayout, box = plot.closest(".plot");
      if (!full || !full.showlegend || box.clientWidth >= 500 || box.dataset.grown) continue;
      const entries = plot.data.filter((trace) => trace.showlegend !== false).length;
      box.dataset.grown = "1";
      box.style.height = plot.style.height = `${plot.clientHeight + 14 * entries}px`;
      window.Plotly.Plots.resize(plot);
    }
  }
  let soon = 0;
  new MutationObserver(() => { clearTimeout(soon); soon = setTimeout(grow, 150); }).observe(document, { childList: true, subtree: true });

  /* A grid's cell holds one link; Enter on the cell follows it. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const at = document.activeElement;
    if (at && at.classList.contains("ag-cell")) { const link = at.querySelector("a"); if (link) link.click(); }
  });

  dark.addEventListener("change", () => {
    if (!stored()) window.dash_clientside.set_props("theme", { data: paint(theme()) });
  });

  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  components.Linked = function (props) {
    if (!props.data) return null;
    return window.React.createElement("a", {
      href: props.data.href,
      onClick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        go(props.data.href);
      },
    }, props.value);
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    dashboard: {
      theme: function (clicks) {
        if (clicks) {
          const next = theme() === "dark" ? "light" : "dark";
          try { localStorage.setItem("coordeval-theme", next); } catch { /* private window: for this page only */ }
          return paint(next);
        }
        return paint(theme());
      },
      title: function (text) {
        if (text) document.title = text;
        return "";
      },
      follow: function () {
        for (const one of window.dash_clientside.callback_context.triggered) {
          const point = one.value && one.value.points && one.value.points[0];
          const href = point && (Array.isArray(point.customdata) ? point.customdata[0] : point.customdata);
          if (typeof href === "string" && href) go(href);
        }
        return "";
      },
    },
  });
})();
