// The page of teleoperation: shows the newest frame, and says what keys, pointer and devices ask for.

import { devices, letGo, startDevices } from "./devices.js";
import { showHand } from "./hand.js";

const ORDERS = [
  ["start", "start", "Enter"], ["keep", "stop and keep", "Enter"], ["discard", "discard", "Backspace"],
  ["undo", "undo the last", "u"], ["again", "same scene", "b"], ["next", "next scene", "n"],
  ["success", "mark success", "y"], ["failure", "mark failure", "x"], ["unmark", "no mark", "z"],
  ["helper", "let the helper act", "t"], ["person", "take over", "t"],
];
const KEYS = {
  w: [1, 0, 0, 0, 0, 0], s: [-1, 0, 0, 0, 0, 0], a: [0, 1, 0, 0, 0, 0], d: [0, -1, 0, 0, 0, 0],
  r: [0, 0, 1, 0, 0, 0], f: [0, 0, -1, 0, 0, 0], q: [0, 0, 0, 0, 0, 1], e: [0, 0, 0, 0, 0, -1],
  j: [0, 0, 0, -1, 0, 0], l: [0, 0, 0, 1, 0, 0], i: [0, 0, 0, 0, 1, 0], k: [0, 0, 0, 0, -1, 0],
};
const PHASES = {
  ready: "ready: Enter starts",
  paused: "paused: nobody has the controls",
  homing: "the arm goes home; then recording starts",
  unsaved: "not saved: Enter tries again, Backspace gives the episode up",
};
const SAY_MS = 50; // so often the arm is told where to go: well within the silence at which it stops
const HERE_MS = 100; // and so often it is told that somebody is there
const SILENT_MS = 1500; // frames come twenty times a second
const DRAG_PX = 120; // so far a drag means full speed

const byId = (id) => document.getElementById(id);
const held = new Set();
const look = { azimuth_deg: 160, elevation_deg: -30, distance_m: 1.1 };
let socket, heard = 0, state = {}, drag = null, wheel = 0, spoke = false, left = 0, counting;

function connect() {
  socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/[^/]*$/, "talk"));
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { heard = Date.now(); };
  socket.onmessage = ({ data }) => {
    heard = Date.now();
    if (typeof data === "string") show(JSON.parse(data));
    else picture(data);
  };
  socket.onclose = lost;
}

function lost() {
  socket.onclose = socket.onmessage = null;
  socket.close();
  state = {};
  stopCounting();
  byId("role").textContent = "the connection is lost; the arm holds still; trying again";
  document.body.dataset.connected = "no";
  setTimeout(connect, 1000);
}

// A network that goes away closes nothing: silence tells.
setInterval(() => {
  if (socket.readyState === WebSocket.OPEN && Date.now() - heard > SILENT_MS) lost();
}, 250);
// A page that nobody looks at does not drive.
setInterval(() => { if (!document.hidden) say({ type: "here" }); }, HERE_MS);

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function picture(buffer) {
  const bytes = new Uint8Array(buffer);
  const name = new TextDecoder().decode(bytes.subarray(1, 1 + bytes[0]));
  const image = name === "operator" ? byId("operator") : view(name);
  const old = image.src;
  image.src = URL.createObjectURL(new Blob([bytes.subarray(1 + bytes[0])], { type: "image/jpeg" }));
  image.onload = () => { if (old) URL.revokeObjectURL(old); };
}

function view(name) {
  const id = `view ${name}`;
  if (!byId(id)) {
    const figure = document.createElement("figure"), image = document.createElement("img"), caption = document.createElement("figcaption");
    image.id = id;
    image.alt = caption.textContent = name;
    figure.append(image, caption);
    byId("views").append(figure);
  }
  return byId(id);
}

function show(news) {
  state = news;
  document.body.dataset.connected = "yes";
  document.body.dataset.phase = news.phase;
  document.body.dataset.kept = news.kept;
  if (news.phase === "broken") { byId("note").textContent = news.note; return; }
  if (!news.task) return;
  byId("task").textContent = news.variation ? `${news.task} (${news.variation})` : news.task;
  byId("about").textContent = `${news.arm}, scene ${news.seed}, ${news.kept} of ${news.wanted} kept (${news.stored} in the store)`;
  byId("take").hidden = news.driving || news.driven;
  byId("role").textContent = news.driving ? "you have the controls" : news.driven ? "you watch; another page has the controls" : "the controls are free";
  const mark = news.marked === null ? "" : `, marked ${news.marked ? "success" : "failure"}`;
  if (news.phase !== "ready" || !news.driving) stopCounting();
  const phase = left ? `recording starts in ${left} s; Enter calls it off` : (news.phase === "paused" && news.trouble ? `paused: ${news.trouble}` : PHASES[news.phase]) ?? `recording, ${news.recorded_s.toFixed(0)} s of ${news.limit_s.toFixed(0)}, ${news.actor === "teleop" ? "you act" : `the ${news.actor} acts`}`;
  byId("phase").textContent = `${phase}${mark}${news.success ? ", success now" : ""}`;
  document.querySelector(".large").classList.toggle("recording", news.phase === "recording");
  byId("progress").value = news.progress;
  byId("far").hidden = !news.judged;
  byId("note").textContent = news.trouble || news.note;
  cameras(news.cameras);
  byId("pushes").disabled = !news.driving;
  showHand(news, limb(), (fingers) => say({ type: "shape", fingers, limb: limb() }));
  byId("limbs").hidden = news.limbs < 2;
  const { p50_ms, p95_ms, late, ticks } = news.cadence;
  byId("cadence").textContent = `${p50_ms.toFixed(1)} ms, of twenty the longest ${p95_ms.toFixed(1)} ms; ${late} of ${ticks} late`;
  byId("tool").textContent = news.tools_m.map((at, i) => `${at.map((m) => m.toFixed(3)).join(", ")} m, ${(1000 * news.widths_m[i]).toFixed(0)} mm open${news.closed[i] ? ", shut" : ""}`).join(" | ");
  byId("force").textContent = news.touch.map(([held, pushed]) => `${held.toFixed(1)} N between the fingers, ${pushed.toFixed(1)} N on the hand`).join(" | ") || "nothing tells";
  orders();
}

function cameras(names) {
  const select = byId("camera");
  if (select.options.length) return;
  select.append(...names.map((name) => new Option(name === "around" ? "around" : `camera ${name}`, name)));
}

function lookFrom() {
  say({ type: "look", camera: byId("camera").value, ...look });
}

function possible(order) {
  if (!state.driving) return false;
  const ready = state.phase === "ready";
  if (["keep", "discard"].includes(order)) return !ready;
  if (state.phase === "unsaved") return false;
  if (order === "start") return ready;
  if (order === "undo") return ready && state.undoable;
  if (order === "helper") return Boolean(state.helper) && state.actor === "teleop";
  if (order === "person") return state.actor !== "teleop";
  return true;
}

function orders() {
  const place = byId("orders");
  for (const [order, words, key] of ORDERS) {
    let button = byId(`order ${order}`);
    if (!button) {
      button = document.createElement("button");
      button.id = `order ${order}`;
      button.textContent = `${words} (${key})`;
      button.onclick = () => { ask(order); button.blur(); };
      place.append(button);
    }
    if (order === "helper" && state.helper) button.textContent = `let the ${state.helper} act (${key})`;
    button.disabled = !possible(order);
    button.classList.toggle("on", (order === "success" && state.marked === true) || (order === "failure" && state.marked === false));
  }
}

function ask(order) {
  if (!possible(order)) return;
  const running = left > 0;
  stopCounting();
  if (order !== "start") say({ type: "order", order });
  else if (!running) count(Number(byId("countdown").value)); // asked for a second time, it is called off
}

// Starts after so many seconds; at once for none.
function count(seconds) {
  left = seconds;
  if (left > 0) counting = setTimeout(() => count(seconds - 1), 1000);
  else if (possible("start")) say({ type: "order", order: "start" });
}

function stopCounting() {
  clearTimeout(counting);
  left = 0;
}

const limb = () => Number(byId("limb").value);

function grip() {
  say({ type: "grip", closed: !state.closed[limb()], limb: limb() });
}

function keydown(event) {
  if (event.target.matches?.("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in KEYS) {
    held.add(key);
    if (!event.repeat) speak(); // at once: a key is felt sooner than at the next beat
  } else if (event.repeat) return;
  else if (key === " ") grip();
  else if (key === "Tab" && state.limbs > 1) byId("limb").value = String(1 - limb());
  else {
    const order = ORDERS.find(([name, , its]) => its === key && possible(name));
    if (!order) return;
    ask(order[0]);
  }
  event.preventDefault();
}

// How far from the world's x "forward" is turned [rad].
function turned() {
  const axes = byId("axes").value;
  if (axes === "tool") return state.yaws_rad?.[limb()] ?? 0;
  if (axes === "arm") return 0;
  return byId("camera").value === "around" ? (look.azimuth_deg * Math.PI) / 180 : state.facing_rad ?? Math.PI;
}

// What is asked, in the world: x away from the arm's base, y to its left.
function asked() {
  const sum = devices(grip);
  for (const key of held) KEYS[key].forEach((value, i) => { sum[i] += value; });
  if (drag) { sum[0] += -drag.y / DRAG_PX; sum[1] += -drag.x / DRAG_PX; }
  sum[2] += wheel;
  wheel *= 0.5;
  if (Math.abs(wheel) < 0.05) wheel = 0;
  const [forward, left] = sum, turn = turned();
  const x = Math.cos(turn) * forward - Math.sin(turn) * left, y = Math.sin(turn) * forward + Math.cos(turn) * left;
  const speed = Number(byId("speed").value);
  return [x, y, ...sum.slice(2)].map((value) => Math.max(-1, Math.min(1, value)) * speed);
}

function speak() {
  if (!state.driving) return;
  const axes = asked(), moving = axes.some((value) => value !== 0);
  if (moving || spoke) say({ type: "move", axes, limb: limb() });
  spoke = moving;
}
setInterval(speak, SAY_MS);

addEventListener("keydown", keydown);
addEventListener("keyup", (event) => { held.delete(event.key.toLowerCase()); speak(); });
addEventListener("blur", () => { held.clear(); letGo(); stopCounting(); speak(); });
const large = byId("operator");
byId("camera").addEventListener("change", lookFrom);
// What was chosen lets go of the keys, which are to drive again.
for (const chosen of document.querySelectorAll("select, input")) chosen.addEventListener("change", () => chosen.blur());
large.addEventListener("contextmenu", (event) => event.preventDefault());
large.addEventListener("pointermove", (event) => {
  if (!(event.buttons & 2) || byId("camera").value !== "around") return;
  look.azimuth_deg = (look.azimuth_deg - 0.4 * event.movementX) % 360;
  look.elevation_deg = Math.max(-90, Math.min(0, look.elevation_deg - 0.3 * event.movementY));
  lookFrom();
});
large.addEventListener("pointerdown", (event) => { if (event.button) return; drag = { x: 0, y: 0, from: [event.clientX, event.clientY] }; large.setPointerCapture(event.pointerId); });
large.addEventListener("pointermove", (event) => { if (drag) { drag.x = event.clientX - drag.from[0]; drag.y = event.clientY - drag.from[1]; } });
for (const end of ["pointerup", "pointercancel"]) large.addEventListener(end, () => { drag = null; });
large.addEventListener("wheel", (event) => { wheel = event.deltaY < 0 ? 1 : -1; event.preventDefault(); }, { passive: false });
byId("take").addEventListener("click", () => { say({ type: "drive" }); byId("take").blur(); });
startDevices(grip);
connect();
