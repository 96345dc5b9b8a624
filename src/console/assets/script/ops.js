
// Fields that apply only if another one is filled in.
(() => {
  function depend(part) {
    const field = part.closest("form").elements[part.dataset.needs];
    const update = () => {
      for (const own of part.querySelectorAll("input")) own.disabled = field.value.trim() === "";
    };
    field.addEventListener("input", update);
    update();
  }

  addEventListener("keyturn:shown", event => event.target.querySelectorAll("[data-needs]").forEach(depend));
})();
