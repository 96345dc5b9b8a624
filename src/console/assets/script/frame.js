// The message about the last change, and forms that cannot be sent because the server is out of reach.
"use strict";

(() => {
  // Shows the message for a while, and reads it out: screen readers say nothing about what is there from the start.
  const SECONDS = 15;
  addEventListener("DOMContentLoaded", () => {
    const flash = document.querySelector("main > .flash");
    if (!flash) return;
    const text = flash.querySelector("p");
    const words = text.textContent;
    text.textContent = "";
    setTimeout(() => { text.textContent = words; }, 100);
    const dismiss = document.createElement("button");
    dismiss.type = "button";
    dismiss.textContent = "Dismiss";
    dismiss.addEventListener("click", () => flash.remove());
    flash.append(dismiss);
    let timer = 0;
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => flash.remove(), SECONDS * 1000); };
    const hold = () => clearTimeout(timer);
    flash.addEventListener("mouseenter", hold);
    flash.addEventListener("focusin", hold);
    flash.addEventListener("mouseleave", wait);
    flash.addEventListener("focusout", wait);
    wait();
  });

  // The menu of a phone closes with Escape.
  document.addEventListener("keydown", event => {
    const menu = event.key === "Escape" && event.target.closest(".side")?.querySelector(".menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
})();
