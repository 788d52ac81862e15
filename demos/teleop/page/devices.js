// What moves the tool besides keys and pointer. Each reads as six numbers: forward, left and up, and turns about
// these three axes: roll, pitch, turn.

// Own choices, but for what is the makers'.
const DEAD = 0.15; // of a gamepad's sticks
const SPACE_DEAD = 0.08; // of a SpaceMouse's cap
const SPACE_FULL = 350; // what a cap that is pushed as far as it goes reports, as open drivers have it; not tried in hand
const MAKERS = [0x256f, 0x046d]; // 3Dconnexion, and Logitech, which made them before
const TILT_FULL_DEG = 30; // a phone that leans so far asks for full speed
const TURN_FULL_DEG = 45;
const TILT_WAIT_MS = 1000; // without a word for so long, this device does not tell how it is held
const PUSHES = { up: [0, 0, 1, 0, 0, 0], down: [0, 0, -1, 0, 0, 0], left: [0, 0, 0, 0, 0, 1], right: [0, 0, 0, 0, 0, -1] };

const byId = (id) => document.getElementById(id);
const beyond = (value, dead) => (Math.abs(value) < dead ? 0 : value);
let padGrip = false, cap = [0, 0, 0, 0, 0, 0], capGrip = false;
let level = null, lean = [0, 0, 0], leaned = false;
const pushed = new Set();

// All of them together.
export function devices(grip) {
  const parts = [gamepad(grip), cap.map((value) => beyond(value, SPACE_DEAD)), tilted(), ...[...pushed].map((name) => PUSHES[name])];
  return [0, 1, 2, 3, 4, 5].map((i) => parts.reduce((sum, part) => sum + part[i], 0));
}

// Lets go of what is held by a finger; a cap springs back by itself, and says so.
export function letGo() {
  pushed.clear();
  level = null;
}

function gamepad(grip) {
  const pad = [...(navigator.getGamepads?.() ?? [])].find(Boolean);
  if (!pad) return [0, 0, 0, 0, 0, 0];
  const stick = (i) => beyond(pad.axes[i] ?? 0, DEAD);
  const down = (i) => pad.buttons[i]?.value ?? 0;
  byId("gamepad").textContent = `${pad.id.slice(0, 40)}: left stick across, right stick up, down and turn, A grip`;
  if (pad.buttons[0]?.pressed && !padGrip) grip();
  padGrip = Boolean(pad.buttons[0]?.pressed);
  return [-stick(1), -stick(0), -stick(3), down(5) - down(4), down(7) - down(6), -stick(2)];
}

// A cap reports 16-bit numbers along and about its own axes, which point right, towards the person and down:
// report 1 has the first three, and in newer models all six; report 2 the others; report 3 the buttons.
function heard({ reportId, data }, grip) {
  if (reportId === 3) {
    const down = data.byteLength > 0 && Boolean(data.getUint8(0) & 1);
    if (down && !capGrip) grip();
    capGrip = down;
    return;
  }
  const numbers = Array.from({ length: Math.min(6, data.byteLength >> 1) }, (_, i) => data.getInt16(2 * i, true) / SPACE_FULL);
  const turned = ([right, near, down]) => [-near, -right, -down];
  if (reportId === 1 && numbers.length >= 3) cap = [...turned(numbers), ...(numbers.length === 6 ? turned(numbers.slice(3)) : cap.slice(3))];
  if (reportId === 2 && numbers.length >= 3) cap = [...cap.slice(0, 3), ...turned(numbers)];
}

async function listen(device, grip) {
  if (!device.opened) await device.open();
  device.addEventListener("inputreport", (event) => heard(event, grip));
  byId("space").textContent = `${device.productName}: push the cap to where the tool shall go, turn it as the tool shall turn; its left button grips`;
}

function spaceMouse(grip) {
  const button = byId("space connect");
  if (!navigator.hid) {
    button.disabled = true;
    byId("space").textContent = "this browser has no WebHID to read one with; Chrome, Edge and Chromium have";
    return;
  }
  const ours = (device) => MAKERS.includes(device.vendorId);
  const failed = (error) => { byId("space").textContent = `the SpaceMouse cannot be opened: ${error.message}`; };
  navigator.hid.getDevices().then((known) => known.filter(ours).slice(0, 1).forEach((device) => listen(device, grip).catch(failed)));
  navigator.hid.addEventListener("disconnect", ({ device }) => {
    if (!ours(device)) return;
    cap = [0, 0, 0, 0, 0, 0];
    byId("space").textContent = "the SpaceMouse is gone";
  });
  button.onclick = async () => {
    button.blur();
    try {
      const [device] = await navigator.hid.requestDevice({ filters: MAKERS.map((vendorId) => ({ vendorId })) });
      if (device) await listen(device, grip);
      else byId("space").textContent = "none was chosen";
    } catch (error) { failed(error); }
  };
}

// How far the phone leans and turns from how it was held when the finger came down.
function tilted() {
  if (!level) return [0, 0, 0, 0, 0, 0];
  const off = (i) => ((lean[i] - level[i] + 540) % 360) - 180;
  const share = (degrees, full) => beyond(Math.max(-1, Math.min(1, degrees / full)), DEAD);
  return [-share(off(1), TILT_FULL_DEG), -share(off(2), TILT_FULL_DEG), 0, 0, 0, share(off(0), TURN_FULL_DEG)];
}

async function startTilting() {
  const note = byId("tilt");
  if (!isSecureContext) { note.textContent = "a browser tells how it is held only to this machine's own or an encrypted page: robocat teleop --certificate"; return; }
  if (!window.DeviceOrientationEvent) { note.textContent = "this browser does not tell how it is held"; return; }
  if (DeviceOrientationEvent.requestPermission && (await DeviceOrientationEvent.requestPermission()) !== "granted") { note.textContent = "you did not allow it"; return; }
  if (leaned) level = [...lean];
  else setTimeout(() => { if (!leaned) note.textContent = "this device does not tell how it is held"; }, TILT_WAIT_MS);
}

function hold(button, begin, end) {
  button.addEventListener("pointerdown", (event) => { button.setPointerCapture(event.pointerId); begin(); });
  for (const name of ["pointerup", "pointercancel"]) button.addEventListener(name, () => { end(); button.blur(); });
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // what a long touch brings up
}

// Gives buttons their meaning. `grip` shuts or opens the gripper.
export function startDevices(grip) {
  spaceMouse(grip);
  addEventListener("deviceorientation", ({ alpha, beta, gamma }) => {
    if (alpha === null) return;
    lean = [alpha, beta, gamma];
    leaned = true;
    byId("tilt").textContent = "held: lean it to where the tool shall go, turn it as the tool shall turn";
  });
  hold(byId("tilt hold"), startTilting, () => { level = null; });
  for (const name of Object.keys(PUSHES)) hold(byId(`push ${name}`), () => pushed.add(name), () => pushed.delete(name));
  byId("push grip").onclick = () => { grip(); byId("push grip").blur(); };
}
