// One episode: its pictures side by side, scrubbed and played, and its curves.

import { drawCurves } from "./curves.js";
import { Player } from "./player.js";

const AHEAD = 12; // so many moments are asked for before they are due
const KEPT = 600; // pictures

const byId = (id) => document.getElementById(id);
let player = null;

export const key = (event) => player?.key(event) ?? false;

// Shows what the server told of an episode, or nothing.
export function showEpisode(told) {
  player?.pause();
  player = null;
  byId("whole").hidden = !told?.moments;
  if (!told?.moments) return;
  const last = told.moments - 1, steps = actors(told.acted);
  const views = new Views(told);
  bands(told);
  facts(told.facts);
  const cursors = drawCurves(byId("curves"), told.curves, last, (moment) => { player.pause(); player.seek(moment); });
  player = new Player({
    slider: byId("moment"),
    button: byId("play"),
    hz: told.control_hz,
    last,
    show(moment) {
      const acts = steps.length > 1 ? ` · ${steps.find(({ end }) => moment < end)?.name ?? steps.at(-1).name} acts` : "";
      byId("now").textContent = `${(moment / told.control_hz).toFixed(1)} s · step ${moment} of ${last}${acts}`;
      cursors(moment);
      views.show(moment);
    },
  });
}

// Who acts up to which step.
function actors(acted) {
  let end = 0;
  return acted.map(([name, steps]) => ({ name, end: (end += steps) }));
}

// The pictures of one moment, all at once: none is seen beside one of another moment.
class Views {
  constructor({ id, cameras, goals, image_size: [height, width], moments }) {
    Object.assign(this, { id, cameras, moments, wanted: 0, drawn: null, busy: false, cache: new Map() });
    byId("views").replaceChildren();
    // All in a row, or the goals below their cameras.
    const all = cameras.length + goals.length;
    byId("views").style.setProperty("--side-by-side", all > 4 ? cameras.length : all);
    byId("views").style.setProperty("--cameras", cameras.length);
    this.canvases = cameras.map((camera) => figure(camera, width, height));
    for (const camera of goals) {
      const canvas = figure(`${camera}: goal`, width, height);
      canvas.parentElement.className = "goal";
      this.picture("goal", camera, 0).then((image) => canvas.getContext("2d").drawImage(image, 0, 0), () => {});
    }
  }

  picture(kind, camera, moment) {
    const address = `picture/${this.id}/${kind}/${camera}/${moment}`;
    if (!this.cache.has(address)) {
      const image = new Image();
      image.src = address;
      this.cache.set(address, image.decode().then(() => image));
      if (this.cache.size > KEPT) this.cache.delete(this.cache.keys().next().value);
    }
    return this.cache.get(address);
  }

  moment(moment) {
    return Promise.allSettled(this.cameras.map((camera) => this.picture("images", camera, moment)));
  }

  async show(moment) {
    const onward = moment > this.wanted && moment - this.wanted < AHEAD;
    this.wanted = moment;
    if (this.busy) return;
    this.busy = true;
    while (this.drawn !== this.wanted) {
      const now = this.wanted, images = await this.moment(now);
      images.forEach(({ value }, i) => {
        const pencil = this.canvases[i].getContext("2d");
        pencil.clearRect(0, 0, this.canvases[i].width, this.canvases[i].height); // rather none than another moment's
        if (value) pencil.drawImage(value, 0, 0);
      });
      if (images.some(({ value }) => !value)) this.cache.clear(); // another time it may come
      this.drawn = now;
      byId("views").dataset.drawn = now;
    }
    this.busy = false;
    if (!onward) return; // who jumps about waits for nothing but what is wanted
    for (let next = moment + 1; next <= Math.min(moment + AHEAD, this.moments - 1); next++) this.moment(next);
  }
}

function figure(caption, width, height) {
  const box = document.createElement("figure"), canvas = document.createElement("canvas"), words = document.createElement("figcaption");
  Object.assign(canvas, { width, height });
  canvas.role = "img";
  canvas.ariaLabel = words.textContent = caption;
  box.append(canvas, words);
  byId("views").append(box);
  return canvas;
}

// Below the slider: who acted, and where the predicate held.
function bands({ acted, curves }) {
  const held = curves.find(({ name }) => name === "success").values;
  const runs = [];
  for (const value of held) {
    if (runs.at(-1)?.[0] === value) runs.at(-1)[1] += 1;
    else runs.push([value, 1]);
  }
  byId("bands").replaceChildren(
    ...band("acted by", acted.map(([name, steps]) => [name, steps, name]), [...new Set(acted.map(([name]) => name))]),
    ...band("predicate", runs.map(([value, steps]) => [value ? "success" : "", steps, value ? "success" : "no success"]), ["success"]),
  );
}

// What it is, the band, and what its colours mean.
function band(label, parts, meanings) {
  const name = document.createElement("span"), legend = document.createElement("span");
  name.textContent = label;
  for (const meaning of meanings) {
    const colour = document.createElement("i");
    colour.className = meaning;
    legend.append(colour, meaning);
  }
  const element = document.createElement("div");
  element.role = "img";
  element.ariaLabel = `${label}: ${parts.map(([, steps, words]) => `${words} for ${steps} steps`).join(", ")}`;
  for (const [name, steps, words] of parts) {
    const part = document.createElement("span");
    part.className = name;
    part.title = `${words}, ${steps} steps`;
    part.style.flex = `${steps} 0 0`;
    element.append(part);
  }
  return [name, element, legend];
}

function facts(told) {
  byId("facts").replaceChildren(...told.flatMap(([name, value]) => {
    const term = document.createElement("dt"), says = document.createElement("dd");
    term.textContent = name;
    says.textContent = value;
    return [term, says];
  }));
}
