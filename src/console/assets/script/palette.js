// The command palette, on Ctrl+K or /: the pages of the navigation, and Find. Enter without a choice sends the text to Find.
"use strict";

(() => {
  let dialog;

  // The pages of the navigation and the actions in the head of this page.
  function commands() {
    const links = [...document.querySelectorAll(".side a, main > .head .actions a, .foot a")];
    return links.map(link => ({ name: link.textContent.trim(), link })).filter(command => command.name);
  }

  function build() {
    const find = document.querySelector("form.find");
    dialog = document.createElement("dialog");
    dialog.className = "palette";
    dialog.setAttribute("aria-label", "Go to or find");
    const form = document.createElement("form");
    form.method = "post";
    if (find) {
      form.action = find.action;
      form.dataset.find = "";
      form.append(find.querySelector("input[type=hidden]").cloneNode());
    }
    const input = document.createElement("input");
    Object.assign(input, { type: "search", name: "text", autocomplete: "off", spellcheck: false, maxLength: 16384 });
    input.placeholder = find ? "Go to a page, or find a key" : "Go to a page";
    const list = document.createElement("ul");
    list.id = "palette-list";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Pages");
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-label": input.placeholder, "aria-expanded": "true", "aria-controls": list.id,
      "aria-autocomplete": "list",
    })) input.setAttribute(name, value);
    form.append(input, list);
    dialog.append(form);
    document.body.append(dialog);

    const choices = () => [...list.children];
    const chosen = () => list.querySelector("[aria-selected=true]");
    function choose(item) {
      choices().forEach(one => one.setAttribute("aria-selected", one === item));
      if (item) { input.setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); }
      else input.removeAttribute("aria-activedescendant");
    }
    function fill() {
      const wanted = input.value.trim().toLowerCase();
      const found = commands().filter(command => command.name.toLowerCase().includes(wanted)).slice(0, 12);
      // Without a name here: the text may be a secret, which find.js shortens when the form is sent.
      if (find && wanted) found.push({ name: "Find in keys, members and denials" });
      list.replaceChildren(...found.map((command, place) => {
        const item = document.createElement("li");
        item.id = `palette-${place}`;
        item.setAttribute("role", "option");
        item.textContent = command.name;
        item.addEventListener("click", () => { choose(item); form.requestSubmit(); });
        item.link = command.link;
        return item;
      }));
      list.hidden = found.length === 0;
      input.setAttribute("aria-expanded", found.length > 0);
      // A name that is typed leads to its page; anything else to Find.
      choose(wanted && found.length > 0 ? list.firstChild : null);
    }
    function go(link) { dialog.close(); link.click(); }
    input.addEventListener("input", fill);
    input.addEventListener("keydown", event => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const all = choices();
      const place = all.indexOf(chosen()) + step;
      choose(place < -1 ? all.at(-1) : place < 0 || place >= all.length ? null : all[place]);
    });
    form.addEventListener("submit", event => {
      // page.js would show the response in this dialog.
      event.stopPropagation();
      const link = chosen()?.link;
      if (link || !find || !input.value.trim()) event.preventDefault();
      if (link) go(link);
    });
    dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => { input.value = ""; });
    dialog.open_up = () => { input.value = ""; fill(); dialog.showModal(); input.focus(); };
  }

  addEventListener("keydown", event => {
    const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
    const isWanted = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k"
      || event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping;
    if (!isWanted || document.querySelector("dialog[open]") || !document.querySelector(".side")) return;
    event.preventDefault();
    if (!dialog) build();
    dialog.open_up();
  });

  addEventListener("DOMContentLoaded", () => {
    const field = document.querySelector("form.find input[type=search]");
    if (field) { field.setAttribute("aria-keyshortcuts", "Control+K /"); field.placeholder = `${field.placeholder} (Ctrl+K)`; }
  });
})();
