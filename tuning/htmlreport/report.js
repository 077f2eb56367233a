"use strict";
// Draws the figures that come into view, follows the theme, sorts and filters the leaderboard.
const FIGURES = JSON.parse(document.getElementById("figures").textContent);
const THEMES = {
  light: { ink: "#1d232b", muted: "#5a6572", paper: "#ffffff", line: "#dfe3e8", scale: ["#c9d7e6", "#7aa3cc", "#0b3c6f"] },
  dark: { ink: "#e6e9ed", muted: "#a3adb8", paper: "#14181d", line: "#333c46", scale: ["#34485c", "#5f8fbd", "#d3e8ff"] },
};
const root = document.documentElement;
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Set();

function theme() {
  return THEMES[root.dataset.theme || (systemIsDark.matches ? "dark" : "light")];
}

function mix(scale, share) {
  const place = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
  const below = Math.min(Math.floor(place), scale.length - 2);
  const part = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const rgb = [0, 1, 2].map((i) => {
    const [a, b] = [part(scale[below], i), part(scale[below + 1], i)];
    return Math.round(a + (b - a) * (place - below));
  });
  return `rgb(${rgb})`;
}

// A figure with the names of theme colours replaced by colours.
function paint(value, colours) {
  if (Array.isArray(value)) return value.map((v) => paint(v, colours));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, colours)]));
  }
  if (typeof value !== "string" || value[0] !== "$") return value;
  if (value === "$scale") return colours.scale.map((c, i) => [i / (colours.scale.length - 1), c]);
  if (value.startsWith("$scale:")) return mix(colours.scale, Number(value.slice(7)));
  return colours[value.slice(1)] || value;
}

function template(colours) {
  const axis = {
    gridcolor: colours.line, linecolor: colours.muted, zerolinecolor: colours.line, tickcolor: colours.muted,
    automargin: true, title: { font: { size: 13 }, standoff: 8 }, zeroline: false,
  };
  return { layout: {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colours.ink, family: "system-ui, sans-serif", size: 12 },
    xaxis: axis, yaxis: axis, margin: { l: 64, r: 16, t: 24, b: 52 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    hoverlabel: { bgcolor: colours.paper, bordercolor: colours.muted, font: { color: colours.ink } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colours.muted, activecolor: colours.ink },
  } };
}

function draw(place) {
  const figure = FIGURES[place.id];
  const colours = theme();
  const layout = { ...paint(figure.layout, colours), template: template(colours) };
  const small = place.closest(".grid") !== null;
  const options = {
    responsive: true, displaylogo: false, displayModeBar: small ? false : undefined,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  Plotly.react(place, paint(figure.data, colours), layout, options);
  drawn.add(place);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }
}, { rootMargin: "300px" });
document.querySelectorAll(".plot").forEach((place) => seen.observe(place));

const toggle = document.getElementById("theme");
function nameToggle() {
  toggle.textContent = theme() === THEMES.dark ? "Light theme" : "Dark theme";
}
function follow() {
  nameToggle();
  drawn.forEach(draw);
}
toggle.hidden = false;
toggle.addEventListener("click", () => {
  root.dataset.theme = theme() === THEMES.dark ? "light" : "dark";
  follow();
});
systemIsDark.addEventListener("change", follow);
nameToggle();

function key(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
  if (cell.classList.contains("number")) return null;
  return cell.textContent.trim() || null;
}
function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
// Cells without a value stay at the end in both directions.
function sort(table, column, ascending) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [key(row, column), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return ascending ? compare(a, b) : compare(b, a);
  });
  body.append(...rows.map(([, row]) => row));
}
document.querySelectorAll("table.sortable").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending);
    });
  });
});

const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.getElementById("trials").tBodies[0].rows];
  const shown = document.getElementById("shown");
  filter.closest("p").hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${rows.length}`;
  });
}
