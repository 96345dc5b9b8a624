// Webhooks: choices that a broader one covers are disabled, and a page with a pending delivery follows it.
"use strict";

(() => {
  function cover(form) {
    const covered = new Set();
    for (const box of form.querySelectorAll("input[data-covers]:checked")) {
      document.getElementById(box.dataset.covers)?.querySelectorAll("input").forEach(input => covered.add(input));
    }
    for (const input of form.querySelectorAll(".covered input")) input.disabled = covered.has(input);
  }

  // Loads the page again while a delivery is about to be attempted, and replaces the part that follows it. A reader who is in that part
  // is not interrupted.
  function follow(part) {
    let left = 20;
    const again = async () => {
      left -= 1;
      const current = document.getElementById(part.id);
      if (!current?.dataset.follow || left < 0) return;
      if (!document.hidden && !current.contains(document.activeElement)) {
        try {
          const response = await fetch(location.href, { cache: "no-store" });
          if (!response.ok || response.redirected) return;
          const text = await response.text();
          const next = new DOMParser().parseFromString(text, "text/html").getElementById(part.id);
          if (!next) return;
          if (next.outerHTML !== current.outerHTML) {
            current.replaceWith(next);
            next.dispatchEvent(new Event("keyturn:shown", { bubbles: true }));
            return;
          }
        } catch {
          // Tried again.
        }
      }
      setTimeout(again, 1500);
    };
    setTimeout(again, 1500);
  }

  document.addEventListener("change", event => {
    if (event.target.matches("input[data-covers]")) cover(event.target.form);
  });
  document.addEventListener("keyturn:shown", event => {
    const shown = event.target;
    for (const form of shown.querySelectorAll("form")) {
      if (form.querySelector("input[data-covers]")) cover(form);
    }
    const parts = [...shown.querySelectorAll("[data-follow]")];
    if (shown.matches?.("[data-follow]")) parts.push(shown);
    parts.forEach(follow);
  });
})();
