"use strict";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const specs = read("specs"), toDark = read("dark");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

// Figures are drawn in light colours; on a dark page each colour becomes its dark one.
const repaint = (value) =>
  typeof value === "string" ? toDark[value] ?? value
  : Array.isArray(value) ? value.map(repaint)
  : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, repaint(v)]))
  : value;

// Plotly keeps an automatic width once it has found one, so every drawing is given its width. What is closed is drawn when opened.
function draw({ dark, paper }) {
  for (const place of document.querySelectorAll("[data-figure]")) {
    if (!paper && !place.checkVisibility()) continue; // a closed group has a layout, and so a width, all the same
    const spec = structuredClone(specs[place.dataset.figure]);
    const { data, layout } = dark ? repaint(spec) : spec;
    layout.width = !paper ? place.clientWidth : place.closest(".panels") ? (paper - 24) / 3 : paper;
    if (layout.showlegend !== false && layout.width < 560) layout.height += 11 * data.filter((trace) => trace.showlegend !== false).length; // a longer legend
    Plotly.react(place, data, layout, { displayModeBar: false });
  }
}
const show = () => draw({ dark: prefersDark.matches });
document.querySelectorAll("[data-figure] noscript").forEach((node) => node.remove());
show();
addEventListener("resize", () => requestAnimationFrame(show));
prefersDark.addEventListener("change", show);

const groups = [...document.querySelectorAll("details.group")], all = document.getElementById("open-all");
const settle = () => { show(); hint(); };
for (const group of groups) group.addEventListener("toggle", settle);
all.addEventListener("click", () => {
  const open = all.getAttribute("aria-pressed") !== "true";
  for (const group of groups) group.open = open;
  all.setAttribute("aria-pressed", open);
  all.textContent = open ? "close all" : "open all";
});

// A link to anything inside a closed group opens it.
function reach() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  requestAnimationFrame(() => target.scrollIntoView());
}
addEventListener("hashchange", reach);
document.addEventListener("click", (event) => { if (event.target.closest?.('a[href^="#"]')) setTimeout(reach); });

// On a phone a table that is wider than the screen says that it goes on.
function hint() {
  for (const box of document.querySelectorAll(".scroll")) box.classList.toggle("goes-on", box.clientWidth > 0 && box.scrollWidth > box.clientWidth + 2);
}
addEventListener("resize", () => requestAnimationFrame(hint));

// Paper has everything.
let before = [];
addEventListener("beforeprint", () => {
  before = groups.map((group) => group.open);
  for (const group of groups) group.open = true;
  draw({ dark: false, paper: 680 });
});
addEventListener("afterprint", () => {
  groups.forEach((group, k) => { group.open = before[k]; });
  show();
});
reach();
hint();

// The numbers that a figure is drawn from, and the figure itself, as files.
function save(name, type, text) {
  const link = document.createElement("a");
  link.href = type ? URL.createObjectURL(new Blob([text], { type })) : text;
  link.download = name;
  link.click();
}
const cell = (value) => {
  const text = String(value ?? "").replace(/<br>/g, "; ").replace(/<[^>]*>/g, "");
  const safe = /^\s*[=+\-@]/.test(text) && isNaN(text) ? `'${text}` : text; // a spreadsheet runs what begins like a formula
  return /[",\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
};
function table(name) {
  const lines = [["series", "x", "y", "error_low", "error_high", "text"]];
  for (const trace of specs[name].data) (trace.x ?? []).forEach((x, k) => {
    const error = trace.error_y;
    lines.push([trace.name, x, trace.y?.[k], error?.arrayminus?.[k], error?.array?.[k], Array.isArray(trace.text) ? trace.text[k] : trace.text]);
  });
  return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
}
// What a table shows, as a file: hidden rows too; the ends of an interval that stands under a number have columns of their own.
function written(shown) {
  const text = (node) => node.textContent.replaceAll("\u00ad", "").replace(/\u2212(?=[\d.])/g, "-").replace(/\s+/g, " ").trim();
  const rows = [...shown.rows], spans = [...rows[0].cells].map((_, k) => rows.some((row) => row.cells[k]?.querySelector(".under")));
  const parts = (one, k, head) => {
    if (!spans[k]) return [text(one)];
    if (head) return [text(one), `${text(one)}, low`, `${text(one)}, high`];
    const alone = one.cloneNode(true), ends = alone.querySelector(".under");
    ends?.remove();
    const [low = "", high = ""] = ends ? text(ends).split(" to ") : [];
    return [text(alone), low, high];
  };
  return rows.map((row, j) => [...row.cells].flatMap((one, k) => parts(one, k, j === 0)).map(cell).join(",")).join("\n") + "\n";
}
for (const shown of document.querySelectorAll("table")) {
  const tools = document.createElement("p");
  tools.className = "tools";
  tools.innerHTML = '<button type="button">table as CSV</button>';
  const name = shown.id || shown.closest("[id]")?.id || "table";
  tools.firstChild.addEventListener("click", () => save(`${name}.csv`, "text/csv", written(shown)));
  (shown.closest(".scroll") ?? shown).after(tools);
}
document.addEventListener("click", async (event) => {
  const { csv, image, of: name } = event.target.dataset ?? {};
  if (csv) save(`${csv}.csv`, "text/csv", table(csv));
  if (image) {
    const place = document.querySelector(`[data-figure="${CSS.escape(name)}"]`);
    save(`${name}.${image}`, "", await Plotly.toImage(place, { format: image, scale: image === "png" ? 2 : 1 }));
  }
});

const rows = [...document.querySelectorAll("#market-table tbody tr")].map((row) => [row, row.dataset.words.toLowerCase()]);
const filter = document.getElementById("filter"), shown = document.getElementById("shown");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const [row, text] of rows) {
    row.hidden = !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  shown.textContent = `${count} of ${rows.length} market${rows.length === 1 ? "" : "s"}`;
});
