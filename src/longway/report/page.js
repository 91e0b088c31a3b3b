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

  // Plots: the mark nearest to the pointer says what it shows; with the keyboard, arrows walk from mark to mark.
  const bubble = document.createElement("div");
  bubble.className = "tip";
  bubble.setAttribute("role", "status");
  bubble.hidden = true;
  const ring = document.createElement("div");
  ring.className = "tip-ring";
  ring.setAttribute("aria-hidden", "true");
  ring.hidden = true;
  document.body.append(bubble, ring);
  const REACH = 14;
  const clamp = (value, low, high) => Math.max(low, Math.min(value, high));
  const hideTip = () => { bubble.hidden = ring.hidden = true; };
  const showTip = (mark) => {
    const box = mark.getBoundingClientRect();
    const x = box.left + box.width / 2;
    bubble.textContent = mark.dataset.tip;
    bubble.hidden = false;
    const room = document.documentElement.clientWidth;
    const above = box.top - bubble.offsetHeight - 10;
    bubble.style.left = `${window.scrollX + clamp(x - bubble.offsetWidth / 2, 8, Math.max(8, room - bubble.offsetWidth - 8))}px`;
    bubble.style.top = `${window.scrollY + (above > 4 ? above : box.bottom + 10)}px`;
    const small = Math.max(box.width, box.height) < 24;
    ring.hidden = false;
    ring.classList.toggle("round", small);
    const pad = small ? Math.max(4, 8 - Math.min(box.width, box.height) / 2) : 2;
    ring.style.left = `${window.scrollX + box.left - pad}px`;
    ring.style.top = `${window.scrollY + box.top - pad}px`;
    ring.style.width = `${box.width + 2 * pad}px`;
    ring.style.height = `${box.height + 2 * pad}px`;
  };
  for (const plot of document.querySelectorAll(".plot > .scroll")) {
    const marks = [...plot.querySelectorAll("[data-tip]")];
    if (!marks.length) continue;
    let current = -1;
    const distance = (mark, x, y) => {
      const box = mark.getBoundingClientRect();
      const outside = Math.hypot(
        Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom),
      );
      // Between marks that the pointer is over alike, the one whose middle is nearer.
      return [outside, Math.hypot((box.left + box.right) / 2 - x, (box.top + box.bottom) / 2 - y)];
    };
    const point = (event) => {
      let best = null;
      marks.forEach((mark, i) => {
        const [outside, middle] = distance(mark, event.clientX, event.clientY);
        if (outside <= REACH && (!best || outside < best.outside || (outside === best.outside && middle < best.middle))) {
          best = { i, outside, middle };
        }
      });
      if (best) showTip(marks[current = best.i]);
      else hideTip();
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hideTip(); });
    const walk = (to) => {
      current = clamp(to, 0, marks.length - 1);
      marks[current].scrollIntoView({ block: "nearest", inline: "nearest" });
      showTip(marks[current]);
    };
    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) walk(Math.max(current, 0)); });
    plot.addEventListener("blur", hideTip);
    plot.addEventListener("scroll", () => { if (!bubble.hidden && current >= 0) showTip(marks[current]); });
    plot.addEventListener("keydown", (event) => {
      const to = {
        ArrowRight: current + 1, ArrowDown: current + 1, ArrowLeft: current - 1, ArrowUp: current - 1,
        Home: 0, End: marks.length - 1,
      }[event.key];
      if (event.key === "Escape") hideTip();
      if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      walk(to);
    });
  }

  // Lines to copy: without the right to the clipboard the text is selected, ready for the keyboard.
  for (const box of document.querySelectorAll(".code")) {
    const button = box.querySelector("button");
    const code = box.querySelector("code");
    const say = (text) => {
      button.textContent = text;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    };
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        say("Copied");
      } catch {
        getSelection().selectAllChildren(code);
        say("Selected");
      }
    });
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
