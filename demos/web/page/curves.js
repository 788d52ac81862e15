// Curves of an episode, one small drawing each, with a cursor at the present moment.

const SVG = "http://www.w3.org/2000/svg";
const MOST = 400; // so many moments are drawn one by one

function draw(tag, parent, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

function write(tag, parent, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

// Draws curves of {group, name, low, high, values, after, asked} into an element, which is emptied first.
// `last` is the last moment, `seek` is called with the moment that a pointer asks for. As many values as
// moments are those of the moments; one less are those of the steps between them, drawn flat, and said at the
// moment before the step, or `after` it.
// Returns a function that puts all cursors at a moment.
export function drawCurves(element, curves, last, seek) {
  element.replaceChildren();
  const cursors = [];
  let group = null;
  for (const curve of curves) {
    if (curve.group !== group) write("h2", element, (group = curve.group));
    const box = write("div", element, "");
    box.className = "curve";
    const head = write("div", box, "");
    write("span", head, curve.name).title = curve.name;
    const number = write("span", head, "");
    cursors.push([curved(box, curve, last, seek), number, curve]);
  }
  return (moment) => {
    for (const [cursor, number, { values, after, asked }] of cursors) {
      cursor.style.transform = `translateX(${(100 * moment) / last}%)`;
      const said = values[moment - (after ? 1 : 0)]?.toFixed(3) ?? "";
      const words = asked && said ? `${asked[moment].toFixed(3)} asked, ${said}` : said;
      if (number.textContent !== words) number.textContent = words;
    }
  };
}

// Numbers as [moment, value], flat over each step if they are of steps; of many moments the least and the
// greatest of every few, which looks the same: a drawing is a few hundred pixels wide.
function thinned(numbers, ofSteps) {
  if (numbers.length <= MOST) return numbers.flatMap((value, i) => (ofSteps ? [[i, value], [i + 1, value]] : [[i, value]]));
  const few = Math.ceil(numbers.length / MOST), kept = [];
  for (let start = 0; start < numbers.length; start += few) {
    const some = numbers.slice(start, start + few);
    const ends = [some.indexOf(Math.min(...some)), some.indexOf(Math.max(...some))].sort((a, b) => a - b);
    for (const i of ends) kept.push([start + i, some[i]]);
  }
  return kept;
}

function curved(box, { name, low, high, values, asked }, last, seek) {
  const well = write("figure", box, "");
  const drawing = draw("svg", well, { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": name });
  // What passes its declared range is drawn too.
  const bottom = Math.min(low, ...values), top = Math.max(high, ...values);
  const place = (value) => 96 - (92 * (value - bottom)) / (top - bottom || 1);
  const point = (i, value) => `${((100 * i) / last).toFixed(3)},${place(value).toFixed(2)}`;
  const points = (numbers) => thinned(numbers, numbers.length <= last).map(([i, value]) => point(i, value)).join(" ");
  if (bottom < 0 && top > 0) draw("line", drawing, { class: "zero", x1: 0, x2: 100, y1: place(0), y2: place(0) });
  if (asked) draw("polyline", drawing, { class: "asked", points: points(asked) });
  draw("polyline", drawing, { points: points(values) });
  const at = (event) => {
    const { left, width } = drawing.getBoundingClientRect();
    seek(Math.max(0, Math.min(last, Math.round((last * (event.clientX - left)) / width))));
  };
  drawing.addEventListener("pointerdown", (event) => { drawing.setPointerCapture(event.pointerId); at(event); });
  drawing.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
  // Beside the drawing, not in it: it moves without thousands of points being drawn again.
  const cursor = write("i", well, "");
  cursor.className = "cursor";
  return cursor;
}
