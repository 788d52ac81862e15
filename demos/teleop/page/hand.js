// A hand of several fingers: shapes to choose from, and a slider for each of its numbers.

const byId = (id) => document.getElementById(id);
let shown = null; // which arm's hand the sliders are of

// Shows what the fingers are asked to be; `ask` is told of what the person wants.
export function showHand({ hands, fingers, driving }, limb, ask) {
  const { fingers: names, shapes } = hands[limb];
  byId("hand").hidden = names.length === 0;
  byId("hand").disabled = !driving;
  if (shown !== limb) build(names, shapes, ask);
  shown = limb;
  const sliders = byId("fingers").querySelectorAll("input");
  sliders.forEach((slider, i) => { if (document.activeElement !== slider) slider.value = fingers[limb][i]; });
  const name = Object.keys(shapes).find((shape) => shapes[shape].every((value, i) => Math.abs(value - fingers[limb][i]) < 0.05));
  if (document.activeElement !== byId("shape")) byId("shape").value = name ?? "";
}

function build(names, shapes, ask) {
  const sliders = names.map((name) => {
    const label = document.createElement("label"), slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -1, max: 1, step: 0.05 });
    slider.setAttribute("aria-label", name);
    slider.addEventListener("input", () => ask(sliders.map((each) => Number(each.value))));
    slider.addEventListener("change", () => slider.blur()); // the keys are to drive again
    label.append(name, slider);
    byId("fingers").append(label);
    return slider;
  });
  byId("fingers").replaceChildren(...sliders.map((slider) => slider.parentElement));
  byId("shape").replaceChildren(new Option("by the sliders", ""), ...Object.keys(shapes).map((name) => new Option(name)));
  byId("shape").onchange = () => {
    if (byId("shape").value) ask(shapes[byId("shape").value]);
    byId("shape").blur();
  };
}
