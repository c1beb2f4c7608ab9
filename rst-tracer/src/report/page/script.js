// Sorts tables by a column, filters rows by words, unfolds everything for the printer. The page is whole without it.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
      const order = (one, other) => key(one).localeCompare(key(other), "en", { numeric: true });
      const rows = [...body.rows].sort(order);
      body.append(...(down ? rows.reverse() : rows));
    });
  });
}
for (const label of document.querySelectorAll("label.filter")) {
  const input = label.querySelector("input");
  const body = document.getElementById(input.dataset.table).tBodies[0];
  label.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(" ");
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
