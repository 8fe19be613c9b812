"use strict";
(() => {
  const place = document.getElementById("progress");
  let last = "";

  async function look() {
    if (document.hidden) return;
    const answer = await fetch(place.dataset.address).catch(() => null);
    if (!answer?.ok) return;
    const text = await answer.text();
    if (text === last) return;
    const isFirst = last === "";
    last = text;
    if (JSON.parse(text).state === "finished") { // the report is there
      location.assign(location.pathname.replace(/\/jobs$/, ""));
      return;
    }
    if (isFirst) return;
    const part = await fetch(place.dataset.part).catch(() => null);
    if (part?.ok) place.innerHTML = await part.text();
  }

  look();
  setInterval(look, 3000);
})();
