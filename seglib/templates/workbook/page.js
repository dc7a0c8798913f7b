"use strict";
// Adds to a page that works without it: tables that sort and filter, pictures that are saved as files.
const FILTERED = 6; // rows from which a table gets a filter

for (const link of document.querySelectorAll("a.save")) {
  link.href = link.closest("figure").querySelector("img").src;
  link.hidden = false;
}

const value = ({ dataset, textContent }) => (dataset.value === undefined ? textContent.trim() : Number(dataset.value));
const missing = (x) => Number(x === "" || x === "–");
const compare = (x, y) =>
  typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });

function sort(table, heading) {
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [a, b].map((row) => value(row.cells[heading.cellIndex]));
    return missing(x) - missing(y) || sign * compare(x, y); // what is missing stays last
  });
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

function filter(rows, input, told) {
  const words = input.value.toLowerCase().split(/\s+/);
  for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  told.textContent = input.value ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
}

for (const table of document.querySelectorAll("table.plain")) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, heading));
    heading.append(button);
  }
  const rows = [...table.tBodies[0].rows];
  if (rows.length < FILTERED) continue;
  const figure = table.closest("figure");
  const [box, input, told] = ["p", "input", "span"].map((name) => document.createElement(name));
  box.className = "filter";
  input.type = "search";
  input.placeholder = "Filter rows";
  input.setAttribute("aria-label", `Filter the rows of ${figure.querySelector(".label").textContent}`);
  input.addEventListener("input", () => filter(rows, input, told));
  told.setAttribute("role", "status");
  box.append(input, told);
  figure.querySelector(".scroll").before(box);
}
