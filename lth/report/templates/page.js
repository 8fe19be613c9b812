"use strict";
(() => {
  const drawn = JSON.parse(document.getElementById("drawn").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const replicates = document.getElementById("replicates");
  let views = [];

  // One entry of a key: a short stroke in the colour or dash that the chart's own scale gives to the value.
  function stroke(channel, drawnAs) {
    const color = channel === "color" ? drawnAs : "currentColor";
    const dash = channel === "strokeDash" ? drawnAs.join(" ") : "";
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    picture.setAttribute("width", "24");
    picture.setAttribute("height", "6");
    picture.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(space, "path");
    line.setAttribute("d", "M0 3H24");
    line.setAttribute("stroke", color);
    line.setAttribute("stroke-width", channel === "color" ? "4" : "2");
    line.setAttribute("stroke-dasharray", dash);
    picture.append(line);
    return picture;
  }

  function writeKeys(place, keys, view) {
    place.replaceChildren(...keys.map((key) => {
      const box = document.createElement("div");
      box.className = "key";
      if (key.title) box.append(key.title);
      const scale = view.scale(key.channel);
      for (const [value, words] of key.entries) {
        const entry = document.createElement("span");
        entry.append(stroke(key.channel, scale(value)), words);
        box.append(entry);
      }
      return box;
    }));
  }

  // A panel as it is asked for: layers of single replicates are drawn where the box is checked.
  function asked(spec) {
    if (!spec.layer || replicates?.checked) return spec;
    return { ...spec, layer: spec.layer.filter((each) => each.description !== "each replicate").map(asked) };
  }

  async function drawFigure(element, figure, scheme) {
    for (const [index, place] of [...element.querySelectorAll(".panel")].entries()) {
      const spec = { ...asked(figure.panels[index]), width: "container", autosize: { type: "fit-x", contains: "padding" } };
      const embedded = await window.vegaEmbed(place, spec, {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
        config: drawn.configs[scheme],
        tooltip: { theme: scheme },
      });
      views.push(embedded.view);
      if (index === 0) writeKeys(element.querySelector(".keys"), figure.keys, embedded.view);
    }
  }

  async function draw() {
    views.forEach((view) => view.finalize());
    views = [];
    const scheme = dark.matches ? "dark" : "light";
    for (const [name, figure] of Object.entries(drawn.figures)) {
      const element = document.getElementById(name);
      try {
        await drawFigure(element, figure, scheme);
      } catch (error) {
        console.error(error);
        element.querySelector(".keys").textContent = `This browser could not draw the figure; see figures/${name}.png.`;
      }
    }
    document.documentElement.dataset.drawn = scheme;
  }

  // A tooltip stays in the window; the library lets it hang out at the left of a narrow one.
  document.addEventListener("mousemove", () => {
    const box = document.getElementById("vg-tooltip-element");
    if (!box) return;
    const { left, right } = box.getBoundingClientRect();
    const room = document.documentElement.clientWidth - 8;
    const shift = right > room ? room - right : 0;
    if (left + shift < 8 || shift) box.style.left = `${parseFloat(box.style.left) + Math.max(shift, 8 - left)}px`;
  });

  // A change of scheme while a drawing is under way waits for it.
  let drawing = draw();
  replicates?.addEventListener("change", () => { drawing = drawing.then(draw); });
  dark.addEventListener("change", () => { drawing = drawing.then(draw); });
})();
