(() => {
  "use strict";

  // Tables: a click (or Enter, Space) on a heading sorts by it; missing cells stay last either way.
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.number === undefined ? cell.textContent.trim() : Number(cell.dataset.number);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number"
      ? a - b
      : typeof a === typeof b
        ? a.localeCompare(b, undefined, { numeric: true })
        : typeof a === "number" ? -1 : 1;

  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      header.querySelector("button").addEventListener("click", () => {
        const first = header.classList.contains("number") ? "descending" : "ascending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = header.getAttribute("aria-sort") === first ? other : first;
        headers.forEach((each) => each.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const missing = (row) => row.cells[column].classList.contains("missing");
        const rows = [...table.tBodies[0].rows].sort(
          (a, b) => missing(a) - missing(b) || sign * compare(key(a, column), key(b, column)),
        );
        table.tBodies[0].append(...rows);
      });
    });
  }

  // Tabs: arrows, Home and End move between them, as the ARIA practices ask.
  for (const box of document.querySelectorAll(".tabs")) {
    const list = box.querySelector(":scope > .tab-list");
    const tabs = [...list.children];
    const panels = [...box.querySelectorAll(":scope > .tab-panel")];
    const show = (chosen, focus) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(i === chosen));
        tab.tabIndex = i === chosen ? 0 : -1;
        panels[i].hidden = i !== chosen;
      });
      if (focus) tabs[chosen].focus();
    };
    panels.forEach((panel, i) => {
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tabs[i].id);
      panel.tabIndex = 0;
    });
    tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => show(i, false));
      tab.addEventListener("keydown", (event) => {
        const last = tabs.length - 1;
        const rtl = getComputedStyle(list).direction === "rtl" ? -1 : 1;
        const step = { ArrowRight: rtl, ArrowLeft: -rtl }[event.key];
        const target =
          event.key === "Home" ? 0
          : event.key === "End" ? last
          : step ? (i + step + tabs.length) % tabs.length
          : -1;
        if (target < 0) return;
        event.preventDefault();
        show(target, true);
      });
    });
    box.classList.add("live");
    list.hidden = false;
    show(0, false);
  }

  // Navigation: mark the section in view.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  if (links.size && "IntersectionObserver" in window) {
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
      const current = [...links.keys()].find((id) => seen.has(id));
      if (!current) return;
      links.forEach((link, id) => link.toggleAttribute("aria-current", id === current));
    }, { rootMargin: "-10% 0px -60% 0px" });
    links.forEach((_, id) => observer.observe(document.getElementById(id)));
  }
})();
