// Charts: a readout of the column under the pointer, a finger or the scrubber, which the arrow keys move. Times: the local time
// beside UTC.
"use strict";

(() => {
  const two = number => String(number).padStart(2, "0");
  const day = at => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = at => `${two(at.getHours())}:${two(at.getMinutes())}`;
  const isUtc = at => at.getTimezoneOffset() === 0;

  // Beside a time in UTC, only the parts of the local time that differ.
  function local(at) {
    if (isUtc(at)) return "";
    const isSameDay = day(at) === at.toISOString().slice(0, 10);
    return `${isSameDay ? "" : `${day(at)} `}${clock(at)} local`;
  }

  function chart(plot) {
    if (plot.dataset.ready) return;
    plot.dataset.ready = "yes";
    const columns = [...plot.querySelectorAll(".plot-area > g")];
    const scrubber = plot.querySelector(".scrubber");
    const readout = plot.parentElement.querySelector(".readout");
    const texts = columns.map(column => {
      const title = column.querySelector("title");
      const text = title.textContent;
      title.remove();
      return text;
    });
    const describe = place => {
      const at = new Date((Number(plot.dataset.start) + place * Number(plot.dataset.step)) * 1000);
      const there = local(at);
      if (!there) return texts[place];
      const [name, rest] = [texts[place].split(": ", 1)[0], texts[place].slice(texts[place].indexOf(": "))];
      const begins = plot.dataset.unit.startsWith("Hour") ? "" : "from ";
      return `${name} UTC (${begins}${there})${rest}`;
    };
    let shown = -1;
    const show = place => {
      if (place === shown || !columns[place]) return;
      columns[shown]?.classList.remove("shown");
      columns[place].classList.add("shown");
      shown = place;
      readout.textContent = describe(place);
      scrubber.value = place;
      scrubber.setAttribute("aria-valuetext", readout.textContent);
    };
    const at = event => {
      const box = plot.querySelector(".plot-area").getBoundingClientRect();
      const place = Math.floor((event.clientX - box.left) / box.width * columns.length);
      show(Math.min(Math.max(place, 0), columns.length - 1));
    };
    const area = plot.querySelector(".plot-area");
    area.addEventListener("pointermove", at);
    area.addEventListener("pointerdown", at);
    scrubber.addEventListener("input", () => show(Number(scrubber.value)));
    scrubber.hidden = false;
    show(columns.length - 1);
  }

  function moment(time) {
    const at = new Date(time.getAttribute("datetime"));
    const exact = time.querySelector("small");
    const there = local(at);
    if (!exact || !there || exact.querySelector(".local")) return;
    const span = document.createElement("span");
    span.className = "local";
    span.textContent = ` (${there})`;
    exact.append(span);
  }

  document.addEventListener("keyturn:shown", event => {
    event.target.querySelectorAll("[data-chart]").forEach(chart);
    event.target.querySelectorAll("time.moment").forEach(moment);
  });
})();
