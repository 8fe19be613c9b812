"use strict";
(() => {
  const form = document.getElementById("filters");
  const listing = document.getElementById("listing");
  const chosen = new Set(JSON.parse(sessionStorage.getItem("lth-chosen") ?? "[]"));
  let latest = 0;
  let waiting;

  // What is chosen stays so while filters, pages and sorting change what is shown.
  function showChosen() {
    sessionStorage.setItem("lth-chosen", JSON.stringify([...chosen]));
    const boxes = [...listing.querySelectorAll("input[name=ids]")];
    boxes.forEach((box) => { box.checked = chosen.has(box.value); });
    const button = document.getElementById("go");
    if (!button) return;
    button.disabled = chosen.size < 2;
    const words = document.getElementById("chosen");
    words.textContent = chosen.size ? `${chosen.size} chosen ` : "choose two or more";
    if (chosen.size) {
      const none = document.createElement("button");
      none.type = "button";
      none.textContent = "choose none";
      none.addEventListener("click", () => { chosen.clear(); showChosen(); });
      words.append(none);
    }
  }

  function address() {
    const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    return `/${fields.size ? "?" : ""}${fields}`;
  }

  async function refresh(target) {
    const mine = ++latest;
    const answer = await fetch(`${target}${target.includes("?") ? "&" : "?"}part=table`).catch(() => null);
    if (!answer?.ok || mine !== latest) return;
    const open = [...listing.querySelectorAll("details[open]")].map((each) => each.closest("tr").querySelector("code").textContent);
    listing.innerHTML = await answer.text();
    for (const row of listing.querySelectorAll("tbody tr")) {
      if (open.includes(row.querySelector("code").textContent)) row.querySelector("details")?.setAttribute("open", "");
    }
    showChosen();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    if (event.target.tagName === "SELECT") { // counts and columns change with it
      location.assign(address());
      return;
    }
    waiting = setTimeout(() => {
      history.replaceState(null, "", address());
      refresh(address());
    }, 120);
  });
  listing.addEventListener("change", (event) => {
    if (event.target.name !== "ids") return;
    if (event.target.checked) chosen.add(event.target.value);
    else chosen.delete(event.target.value);
    showChosen();
  });
  listing.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`/compare?ids=${[...chosen].map(encodeURIComponent).join(",")}`);
  });
  setInterval(() => {
    const moving = listing.querySelector("[data-moving=yes]");
    if (moving && !document.hidden) refresh(location.pathname + location.search);
  }, 5000);
  showChosen();
})();
