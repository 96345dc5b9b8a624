// Shows elements with `data-when="name=value"` only while that value is chosen. Hidden fields are not submitted.
"use strict";

(() => {
  function update(form) {
    for (const part of form.querySelectorAll("[data-when]")) {
      const [name, value] = part.dataset.when.split("=");
      const chosen = form.elements[name]?.value ?? "";
      part.hidden = chosen !== value;
      const fields = [part, ...part.querySelectorAll("input, select, textarea")];
      fields.filter(field => "disabled" in field).forEach(field => { field.disabled = part.hidden; });
    }
  }

  document.addEventListener("change", event => { if (event.target.form) update(event.target.form); });
  document.addEventListener("keyturn:shown", event => {
    const shown = event.target;
    const forms = [...shown.querySelectorAll("form")];
    (shown.closest?.("form") ? [shown.closest("form"), ...forms] : forms).forEach(update);
  });
})();
