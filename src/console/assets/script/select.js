// Bulk changes: a checkbox that selects every row of a page, and the number of selected rows on the button.
(() => {
  document.addEventListener("keyturn:shown", event => event.target.querySelectorAll("form[data-select]").forEach(form => {
    const button = form.querySelector(".bulk button");
    const place = form.querySelector("th.check");
    if (!button || !place) return;
    const rows = [...form.querySelectorAll("input[name=key]")];
    const everything = form.querySelector("input[name=all]");
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Select every key on this page");
    place.replaceChildren(all);
    const update = () => {
      const number = rows.filter(row => row.checked).length;
      all.checked = number === rows.length;
      all.indeterminate = number > 0 && number < rows.length;
      button.disabled = number === 0 && !everything?.checked;
      button.textContent = everything?.checked || number === 0 ? "Change selected keys" : `Change ${number} ${number === 1 ? "key" : "keys"}`;
    };
    all.addEventListener("change", () => { rows.forEach(row => { row.checked = all.checked; }); update(); });
    form.addEventListener("change", update);
    update();
  }));
})();
