// Copy buttons, dialogs, live checks of fields, and adding rows. Every page works without this script.
"use strict";

(() => {
  const root = new URL(".", new URL("..", document.currentScript.src)).pathname.replace(/\/$/, "");
  document.body.classList.add("script");

  // Copy buttons: copies the text of the element named in data-copy.
  async function copy(button) {
    const text = document.getElementById(button.dataset.copy).textContent;
    const before = [...button.childNodes];
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected. Press Ctrl+C to copy";
    }
    say(button.textContent);
    setTimeout(() => button.replaceChildren(...before), 2500);
  }

  // Messages for screen readers.
  const voice = document.createElement("p");
  voice.className = "hidden";
  voice.setAttribute("role", "status");
  document.body.append(voice);
  function say(text) {
    (document.querySelector("dialog[open] .voice") ?? voice).textContent = text;
  }

  // Dialogs: shows the page behind a link above the current page. The header keeps the message about the last change for the page.
  const forDialog = { headers: { "X-Keyturn-Dialog": "1" } };
  let isOpening = false;
  async function open(link) {
    if (isOpening) return;
    isOpening = true;
    const dialog = document.createElement("dialog");
    dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
    // Escape must not close a secret that nobody has saved. A second Escape is held back only by `closedby`.
    dialog.addEventListener("cancel", event => {
      if (dialog.dataset.busy || dialog.dataset.changed || holdsSecret(dialog)) event.preventDefault();
    });
    dialog.addEventListener("input", () => {
      dialog.dataset.changed = "yes";
      dialog.setAttribute("closedby", "none");
    });
    dialog.addEventListener("keydown", event => {
      if (event.key !== "Escape" || dialog.dataset.busy) return;
      if (dialog.dataset.changed && !holdsSecret(dialog)) leave(dialog);
      if (!holdsSecret(dialog)) return;
      dialog.querySelector("form[data-acknowledge] input[type=checkbox]").focus();
      say("This secret is shown once. Confirm that you saved it first.");
    });
    // In the document before it is shown, so that the other scripts hear of its parts.
    document.body.append(dialog);
    try {
      if (!await show(dialog, await fetch(link.href, forDialog))) return;
    } catch {
      location.assign(link.href);
      return;
    } finally {
      isOpening = false;
    }
    dialog.showModal();
    focusFirst(dialog);
  }

  // Closes a dialog, or asks first if something was typed. A second Escape keeps what was typed.
  function leave(dialog) {
    const asked = dialog.querySelector(".ask");
    if (asked) {
      asked.querySelector("button").click();
      return;
    }
    if (!dialog.dataset.changed || holdsSecret(dialog)) {
      dialog.close();
      return;
    }
    const before = document.activeElement;
    const ask = document.createElement("div");
    ask.className = "notice warning ask";
    ask.setAttribute("role", "group");
    const text = document.createElement("p");
    text.id = "dialog-ask";
    text.textContent = "Discard what you typed?";
    ask.setAttribute("aria-labelledby", text.id);
    const keep = choice("Keep editing", "", () => { ask.remove(); before?.focus(); });
    ask.append(text, keep, choice("Discard", "danger", () => dialog.close()));
    dialog.querySelector(".inside").prepend(ask);
    dialog.scrollTop = 0;
    keep.setAttribute("aria-describedby", text.id);
    keep.focus();
  }

  function choice(label, className, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = className;
    button.textContent = label;
    button.addEventListener("click", act);
    return button;
  }

  // Shows at the end of a form that it was not sent.
  function showUnsent(form) {
    form.querySelector(".unsent")?.remove();
    const notice = document.createElement("p");
    notice.className = "notice bad unsent";
    notice.setAttribute("role", "alert");
    notice.textContent = "Can’t reach the server. Your input is still here. Check your connection and try again.";
    form.append(notice);
    notice.scrollIntoView({ block: "nearest" });
  }

  const holdsSecret = place => place.querySelector("form[data-acknowledge] input[type=checkbox]:not(:checked)") !== null;

  // Shows a response in a dialog. A redirect loads the whole page instead.
  async function show(dialog, response) {
    if (response.redirected) {
      location.assign(response.url);
      return false;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.querySelector("main");
    const changed = response.ok ? "" : dialog.dataset.changed ?? "";
    const inside = document.createElement("div");
    inside.className = "inside";
    inside.append(...main.childNodes);
    rename(inside);
    dialog.setAttribute("closedby", inside.querySelector("form[data-acknowledge]") ? "none" : "closerequest");
    const heading = inside.querySelector("h1");
    if (heading) {
      heading.id = "dialog-heading";
      heading.tabIndex = -1;
      dialog.setAttribute("aria-labelledby", "dialog-heading");
    }
    const spoken = document.createElement("p");
    spoken.className = "hidden voice";
    spoken.setAttribute("role", "status");
    inside.append(spoken);
    if (!inside.querySelector("form[data-acknowledge]")) {
      const close = document.createElement("button");
      close.type = "button";
      close.className = "close";
      close.textContent = "Close";
      close.addEventListener("click", () => leave(dialog));
      inside.append(close);
    }
    dialog.replaceChildren(inside);
    // A rejected form still holds what was typed.
    if (changed) dialog.setAttribute("closedby", "none");
    else delete dialog.dataset.changed;
    dialog.scrollTop = 0;
    prepare(inside);
    return true;
  }

  // Prefixes IDs in the dialog, because the page below may use the same ones.
  function rename(inside) {
    const renamed = text => text.split(" ").map(id => `dialog-${id}`).join(" ");
    for (const name of ["id", "for", "aria-labelledby", "aria-describedby", "data-copy"]) {
      inside.querySelectorAll(`[${name}]`).forEach(part => part.setAttribute(name, renamed(part.getAttribute(name))));
    }
    inside.querySelectorAll("a[href^='#']").forEach(link => link.setAttribute("href", `#dialog-${link.hash.slice(1)}`));
  }

  // Focuses the errors, the copy button or the first field. Without any, focuses the heading, so that Enter does nothing.
  function focusFirst(dialog) {
    const fields = [...dialog.querySelectorAll("input, select, textarea")];
    const first = dialog.querySelector("[data-focus], .secret [data-copy]") ?? fields.find(field => field.checkVisibility() && (field.type !== "radio" || field.checked));
    (first ?? dialog.querySelector("#dialog-heading"))?.focus();
  }

  async function send(form, button) {
    const body = new URLSearchParams(new FormData(form, button));
    const dialog = form.closest("dialog");
    // The response may contain a secret that is shown only once, so the dialog stays open until it arrives.
    dialog.dataset.busy = "yes";
    dialog.setAttribute("closedby", "none");
    // Forms that must not be submitted by Enter have a first button that is always disabled.
    const buttons = [...dialog.querySelectorAll("button:enabled")];
    buttons.forEach(other => { other.disabled = true; });
    try {
      const response = await fetch(form.getAttribute("action"), { ...forDialog, method: "POST", body });
      if (await show(dialog, response)) focusFirst(dialog);
    } catch {
      dialog.setAttribute("closedby", dialog.dataset.changed ? "none" : "closerequest");
      buttons.forEach(other => { other.disabled = false; });
      showUnsent(form);
      button?.focus();
    } finally {
      delete dialog.dataset.busy;
    }
  }

  // Live checks: shows feedback while the user types.
  function live(field) {
    let timer = 0;
    let asked = 0;
    const said = document.createElement("p");
    said.className = "said";
    said.id = `${field.id}-said`;
    said.setAttribute("role", "status");
    field.after(said);
    field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), said.id].filter(Boolean).join(" "));
    const check = async () => {
      const number = ++asked;
      if (field.value.trim() === "") {
        said.textContent = "";
        field.removeAttribute("aria-invalid");
        return;
      }
      const path = `${root}/check/${field.dataset.live}?value=${encodeURIComponent(field.value)}`;
      let result;
      try {
        const response = await fetch(path);
        if (!response.ok) return;
        result = await response.json();
      } catch {
        // The server is out of reach. It checks the form again when it is submitted.
        return;
      }
      if (number !== asked) return;
      const { tone, message } = result;
      said.className = `said ${tone}`;
      said.textContent = message;
      if (tone === "bad") field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    };
    field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, 250); });
    // The error of the last submission is shown already.
    if (field.value !== "" && field.getAttribute("aria-invalid") !== "true") check();
  }

  // Adds a row: a copy of the last one without its values.
  function addRow(button) {
    const rows = button.closest("fieldset");
    const last = [...rows.querySelectorAll(".row")].at(-1);
    const row = last.cloneNode(true);
    row.querySelectorAll(".said, .error").forEach(said => said.remove());
    for (const name of ["aria-describedby", "aria-invalid"]) {
      row.querySelectorAll(`[${name}]`).forEach(part => part.removeAttribute(name));
    }
    empty(row);
    last.after(row);
    number(rows);
    prepare(row);
    row.querySelector("select, input").focus();
  }

  function removeRow(button) {
    const rows = button.closest("fieldset");
    const row = button.closest(".row");
    const next = row.nextElementSibling?.closest(".row") ?? row.previousElementSibling?.closest(".row");
    if (next) row.remove();
    else empty(row);
    number(rows);
    (next ?? row).querySelector("select, input").focus();
    say("Removed");
  }

  function empty(row) {
    row.querySelectorAll("input").forEach(input => { input.value = ""; });
    row.querySelectorAll("select").forEach(select => { select.selectedIndex = 0; });
    row.querySelectorAll(".said").forEach(said => { said.textContent = ""; });
  }

  // Numbers the rows: names count from 0, labels from 1.
  function number(rows) {
    rows.querySelectorAll(".row").forEach((row, place) => {
      for (const name of ["id", "for", "name", "aria-describedby"]) {
        for (const part of row.querySelectorAll(`[${name}]`)) {
          part.setAttribute(name, part.getAttribute(name).replace(/\d+/g, place));
        }
      }
      row.querySelectorAll("[aria-label]").forEach(part => {
        part.setAttribute("aria-label", part.getAttribute("aria-label").replace(/\d+/, place + 1));
      });
      row.querySelectorAll("button[value]").forEach(button => { button.value = place; });
    });
  }

  // Shows or hides elements depending on a choice.
  function follow(select) {
    const update = () => {
      for (const part of select.form.querySelectorAll(`[data-for="${select.name}"]`)) {
        part.hidden = part.dataset.value !== select.value;
      }
    };
    select.addEventListener("change", update);
    update();
  }

  function prepare(place) {
    place.querySelectorAll("[data-live]").forEach(live);
    place.querySelectorAll("select[data-follow]").forEach(follow);
    place.dispatchEvent(new CustomEvent("keyturn:shown", { bubbles: true }));
  }

  document.addEventListener("click", event => {
    if (event.target.closest("dialog[data-busy]")) { event.preventDefault(); return; }
    const copying = event.target.closest("[data-copy]");
    if (copying) { copy(copying); return; }
    const adding = event.target.closest("[data-add-row]");
    if (adding) { event.preventDefault(); addRow(adding); return; }
    const removing = event.target.closest("[data-remove-row]");
    if (removing) { event.preventDefault(); removeRow(removing); return; }
    const link = event.target.closest("a[data-dialog]");
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey && event.button === 0;
    if (link && isPlain) {
      event.preventDefault();
      const open_dialog = link.closest("dialog");
      if (open_dialog) fetch(link.href, forDialog).then(response => show(open_dialog, response)).then(shown => shown && focusFirst(open_dialog)).catch(() => location.assign(link.href));
      else open(link);
      return;
    }
    // Cancel closes the dialog without loading a page.
    const back = event.target.closest("dialog a[data-close]");
    if (back && isPlain) { event.preventDefault(); leave(back.closest("dialog")); }
  });

  document.addEventListener("submit", event => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.closest("dialog")) {
      event.preventDefault();
      send(form, event.submitter);
    } else if (holdsTyped(form)) {
      event.preventDefault();
      sendPage(form, event.submitter);
    }
  });

  // Whether a form holds what a person typed, and no password.
  const holdsTyped = form => form.querySelector("input[type=password]") === null
    && form.querySelector("textarea, input:not([type=hidden], [type=checkbox], [type=radio])") !== null;

  // Submits a form of a page if the server is in reach. A browser would replace the page by an error.
  async function sendPage(form, button) {
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    try {
      await fetch(document.querySelector("link[rel=icon]").href, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    } catch {
      showUnsent(form);
      return;
    } finally {
      delete form.dataset.busy;
    }
    // Unlike requestSubmit, submit() sends no second event; the button's name and value go with a hidden field.
    if (button?.name) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = button.name;
      field.value = button.value;
      form.append(field);
    }
    form.submit();
  }

  // Asks before leaving a page with a secret that was not saved.
  addEventListener("beforeunload", event => {
    if (holdsSecret(document) || document.querySelector("dialog[data-busy]")) event.preventDefault();
  });
  document.addEventListener("submit", event => {
    if (event.target.matches("form[data-acknowledge]")) event.target.removeAttribute("data-acknowledge");
  }, true);

  // Removes dialogs before the page enters the back/forward cache, so that secrets do not come back.
  addEventListener("pagehide", () => document.querySelectorAll("dialog").forEach(dialog => dialog.remove()));
  addEventListener("pageshow", event => { if (event.persisted) location.reload(); });

  // The other scripts listen by now.
  addEventListener("DOMContentLoaded", () => {
    prepare(document);
    document.querySelector("main [data-focus]")?.focus();
  });
})();
