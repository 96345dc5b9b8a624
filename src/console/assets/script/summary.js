// Describes a new key in a line above the button: what it can do, from where, until when.
"use strict";

(() => {
  function describe(form) {
    const rows = [...form.querySelectorAll(".row")].map(row => {
      const [action, resource] = row.querySelectorAll("input, select");
      return [action.value.trim(), resource.value.trim()];
    }).filter(([action, resource]) => action !== "" && resource !== "");
    // The number of scopes of each other API that is granted.
    const others = [...form.querySelectorAll(".api > .tick > input:checked")].map(box => {
      const granted = box.closest(".api").querySelector(".granted");
      const text = granted.querySelector("textarea");
      return text ? text.value.split(/\s+/).filter(Boolean).length : granted.querySelectorAll("input:checked").length;
    }).filter(number => number > 0);
    const total = others.reduce((sum, number) => sum + number, rows.length);
    const apis = others.length + (rows.length > 0 ? 1 : 0);
    const isFull = rows.some(([action, resource]) => action === "*" && resource === "*");
    const isManager = rows.some(([, resource]) => resource.split("/")[0] === "keyturn");
    let what = total === 1 ? "1 scope" : `${total} scopes`;
    if (isFull && isManager) what = "Full access, including the Keyturn management API";
    else if (isFull) what = "Full access";
    else if (isManager) what = "Access to the Keyturn management API";
    else if (total === 0) what = "No access yet";
    else if (apis > 1) what = `${what} of ${apis} APIs`;
    const profile = form.elements.profile?.value ?? "";
    if (profile !== "") what = total === 0 ? `The scopes of the profile ${profile}` : `${what} within the profile ${profile}`;
    if ((isFull || isManager) && apis > 1 && profile === "") what = `${what}, and scopes of ${apis === 2 ? "1 API" : `${apis - 1} APIs`} more`;

    const listed = form.elements.allowed_cidrs.value.split(/[\s,;]+/).filter(Boolean);
    const isAny = form.elements.networks.value === "any" || listed.some(entry => entry === "*" || entry.endsWith("/0"));
    const named = [...form.querySelectorAll("input[name=named]")].flatMap(field => {
      if (field.type === "checkbox") return field.checked ? [field.value] : [];
      return field.value.split(/[\s,;]+/).filter(Boolean);
    });
    const count = listed.length + named.length;
    let from = count === 1 ? "from 1 network" : `from ${count} networks`;
    if (count === 0) from = "no network yet";
    if (isAny) from = profile === "" ? "from any network" : "from the networks of the profile";

    const expiry = form.elements.expiry;
    const chosen = expiry.selectedOptions[0]?.textContent ?? "";
    const date = expiry.value === "date" ? form.elements.expires_at?.value.slice(0, 10) : chosen.match(/\d{4}-\d\d-\d\d/)?.[0];
    const until = expiry.value === "none" ? "never expires" : `expires on ${date || "…"}`;
    return [`${what}, ${from}, ${until}.`, (isFull || isManager || isAny) && profile === ""];
  }

  function update(form) {
    const line = form.querySelector("[data-summary]");
    const [text, isUnusual] = describe(form);
    line.hidden = false;
    line.className = isUnusual ? "summary warning" : "summary";
    if (line.textContent !== text) line.textContent = text;
  }

  const formOf = part => part.closest?.("form:has([data-summary])");
  for (const kind of ["input", "change", "click"]) {
    document.addEventListener(kind, event => { const form = formOf(event.target); if (form) setTimeout(() => update(form)); });
  }
  document.addEventListener("keyturn:shown", event => {
    const form = formOf(event.target);
    if (form) update(form);
    event.target.querySelectorAll("form:has([data-summary])").forEach(update);
  });
})();
