// The menu of organizations closes with Escape and when something else is clicked or focused.
"use strict";

(() => {
  const open = () => document.querySelector(".switcher[open]");
  document.addEventListener("keydown", event => {
    const menu = event.key === "Escape" && open();
    if (!menu) return;
    const had = menu.contains(document.activeElement);
    menu.open = false;
    if (had) menu.querySelector("summary").focus();
  });
  for (const kind of ["pointerdown", "focusin"]) {
    document.addEventListener(kind, event => {
      const menu = open();
      if (menu && !menu.contains(event.target)) menu.open = false;
    });
  }
})();
