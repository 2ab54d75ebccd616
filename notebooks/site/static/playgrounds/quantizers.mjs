// Two quantizers of a weight between −1 and 1, and where they differ.
import { choice, element, numbers, picture, short, slider } from "./controls.mjs";
import { place, quantize, staircase } from "./mathematics.mjs";

const KINDS = {
  ours: "computed by psgd_ref",
  formula: "written down from what a library was seen to do",
  measured: "recorded by running the library",
};
const SAMPLES = 2001;
// Room for the numbers beside the axis.
const LEFT = 44;
const root = document.getElementById("playground");
const records = await (await fetch(new URL("quantizers.json", import.meta.url))).json();
const options = records.map((record, i) => [String(i), `${record.name}, ${record.bits} bits (${record.kind})`]);
const first = records.findIndex((record) => record.name === "min-max" && record.bits === 4);
const second = records.findIndex((record) => record.kind === "formula" && record.bits === 4);

const controls = element("div", { className: "controls" }, root);
const one = choice(controls, { label: "one quantizer (solid line)", options, value: String(first) }, draw);
const other = choice(controls, { label: "another (dashed line)", options, value: String(second) }, draw);
const weight = slider(controls, { label: "a weight w", min: -1, max: 1, step: 0.005, value: 0.3, show: (x) => short(x) }, draw);
const pictures = element("div", { className: "pictures" }, root);
const figure = element("figure", {}, pictures);
const caption = element("figcaption", {}, figure);
const stairs = picture(figure, { label: "two staircases", height: 380 }, drawStairs);
element("figcaption", { textContent: "The difference, the other minus the one" }, figure);
const gap = picture(figure, { label: "the difference", height: 120 }, drawGap);
const below = element("div", { className: "below" }, root);
const show = numbers(below, "In numbers: one, another", {
  value: "Q(w) of this weight",
  code: "place of that value, from the lowest",
  count: "values",
  zero: "zero stays zero",
  ends: "Q(−1), Q(1)",
  odd: "Q(−w) = −Q(w) off ties",
  differ: "they differ on",
  most: "and at most by",
  kept: "values of the one that the other keeps",
});
const kinds = [...new Set(records.map((record) => record.kind))].map((kind) => `${kind}: ${KINDS[kind]}`);
element("p", { textContent: `In brackets, where a rule comes from; ${kinds.join("; ")}.` }, below);

function pair() {
  return [one, other].map((chosen) => staircase(records[Number(chosen.value)]));
}

function draw() {
  const [a, b] = pair();
  const w = weight.value;
  const grid = Array.from({ length: SAMPLES }, (_, i) => (2 * i) / (SAMPLES - 1) - 1);
  const gaps = grid.map((x) => Math.abs(quantize(x, a) - quantize(x, b)));
  const both = (f) => `${f(a)}, ${f(b)}`;
  show({
    value: both((s) => short(quantize(w, s))),
    code: both((s) => place(w, s)),
    count: both((s) => s.values.length),
    zero: both((s) => (quantize(0, s) === 0 ? "yes" : "no")),
    ends: both((s) => `${short(quantize(-1, s))} … ${short(quantize(1, s))}`),
    odd: both((s) => (grid.every((x) => near(quantize(-x, s), -quantize(x, s)) || onWall(x, s)) ? "yes" : "no")),
    differ: `${short((100 * gaps.filter((d) => d > 1e-9).length) / SAMPLES)} % of the weights from −1 to 1`,
    most: short(Math.max(...gaps)),
    kept: `${a.values.filter((value) => near(quantize(value, b), value)).length} of ${a.values.length}`,
  });
  caption.textContent = `Q(w) over w: solid ${words(one)}, dashed ${words(other)}`;
  stairs.describe(caption.textContent);
  stairs.redraw();
  gap.redraw();
}

function words(chosen) {
  return options[Number(chosen.value)][1];
}

function near(a, b) {
  return Math.abs(a - b) < 1e-7;
}

function onWall(x, s) {
  return s.walls.some((wall) => near(Math.abs(wall), Math.abs(x)));
}

function frame(width, height, low, high) {
  return {
    x: (w) => LEFT + ((w + 1) / 2) * (width - LEFT - 10),
    y: (q) => height - 22 - ((q - low) / (high - low)) * (height - 32),
  };
}

function path(context, s, { x, y }) {
  context.beginPath();
  // A wall may lie on −1 itself, or on 1.
  context.moveTo(x(-1), y(s.values[place(-1 + 1e-9, s)]));
  s.walls.forEach((wall, i) => {
    if (wall > -1 && wall < 1) {
      context.lineTo(x(wall), y(s.values[i]));
      context.lineTo(x(wall), y(s.values[i + 1]));
    }
  });
  context.lineTo(x(1), y(s.values[place(1 - 1e-9, s)]));
  context.stroke();
}

function drawStairs(context, width, height, colour) {
  const [a, b] = pair();
  const top = Math.max(1.05, ...[...a.values, ...b.values].map(Math.abs));
  const at = frame(width, height, -top, top);
  axes(context, width, height, colour, at, [-1, -0.5, 0, 0.5, 1]);
  context.lineWidth = 2;
  context.strokeStyle = colour.blue;
  path(context, a, at);
  context.setLineDash([6, 4]);
  context.strokeStyle = colour.orange;
  path(context, b, at);
  context.setLineDash([]);
  context.lineWidth = 1;
  context.strokeStyle = colour.muted;
  context.beginPath();
  context.moveTo(at.x(weight.value), 8);
  context.lineTo(at.x(weight.value), height - 22);
  context.stroke();
  // A ring around a dot, so that both show where they meet.
  for (const [s, shade, radius] of [[a, colour.blue, 4], [b, colour.orange, 7]]) {
    context.fillStyle = context.strokeStyle = shade;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(at.x(weight.value), at.y(quantize(weight.value, s)), radius, 0, 2 * Math.PI);
    if (s === a) context.fill();
    else context.stroke();
  }
}

function drawGap(context, width, height, colour) {
  const [a, b] = pair();
  const points = Array.from({ length: SAMPLES }, (_, i) => (2 * i) / (SAMPLES - 1) - 1);
  const gaps = points.map((w) => quantize(w, b) - quantize(w, a));
  const top = Math.max(0.1, ...gaps.map(Math.abs));
  const at = frame(width, height, -top, top);
  axes(context, width, height, colour, at, [-top, 0, top]);
  context.fillStyle = colour.orange;
  const thick = (width - LEFT - 10) / SAMPLES;
  points.forEach((w, i) => {
    context.fillRect(at.x(w) - thick / 2, Math.min(at.y(0), at.y(gaps[i])), Math.max(1, thick), Math.abs(at.y(gaps[i]) - at.y(0)));
  });
}

function axes(context, width, height, colour, { x, y }, ticks) {
  context.strokeStyle = colour.line;
  context.fillStyle = colour.text;
  context.lineWidth = 1;
  for (const q of ticks) {
    context.beginPath();
    context.moveTo(x(-1), y(q));
    context.lineTo(x(1), y(q));
    context.stroke();
    context.textAlign = "right";
    context.fillText(short(q, 2), LEFT - 4, y(q) + 4);
  }
  context.textAlign = "center";
  for (const w of [-1, -0.5, 0, 0.5, 1]) context.fillText(short(w), Math.min(x(w), width - 8), height - 5);
}

draw();
