// Trained weights as a histogram, the grid over them, and what is left of the accuracy.
import { element, numbers, picture, short, slider } from "./controls.mjs";
import { gridOf, nearest, position, relativeError } from "./mathematics.mjs";

const root = document.getElementById("playground");
const found = await (await fetch(new URL("rounding.json", import.meta.url))).json();
const controls = element("div", { className: "controls" }, root);
const bits = slider(
  controls,
  { label: "bits", min: 0, max: found.bits.length - 1, step: 1, value: 1, show: (i) => `${found.bits[i]} bits` },
  draw,
);
const share = slider(
  controls,
  {
    label: "the grid ends at this share of the largest weight",
    min: 0,
    max: found.shares.length - 1,
    step: 1,
    value: found.shares.length - 1,
    show: (i) => `${Math.round(100 * found.shares[i])} %`,
  },
  draw,
);
element("p", { textContent: "Move over a bar, or focus a picture and use the arrow keys: which integer, and how many weights have it. Counts are on a logarithmic scale; lines are the grid." }, root);
const pictures = element("div", { className: "pictures two" }, root);
const panels = found.methods.map((method) => panel(method));
draw();

function panel(method) {
  const figure = element("figure", {}, pictures);
  element("figcaption", { textContent: method.name }, figure);
  const made = { method, chosen: 0, largest: Math.max(...method.weights.map(Math.abs)) };
  made.picture = picture(figure, { label: method.name, height: 210 }, (...a) => drawPanel(made, ...a));
  made.hover = element("p", { className: "hover" }, figure);
  made.show = numbers(figure, "", { accuracy: "test accuracy, %", full: "full precision, %", error: "error / (Δ²/12)", step: "step Δ" });
  const { canvas } = made.picture;
  canvas.tabIndex = 0;
  canvas.addEventListener("pointermove", (event) => {
    const place = (event.offsetX - 10) / (canvas.clientWidth - 20);
    choose(made, position((2 * place - 1) * made.largest, grid(made)));
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) {
      event.preventDefault();
      choose(made, made.chosen + by);
    }
  });
  return made;
}

function grid(made) {
  return gridOf(found.shares[share.value] * made.largest, found.bits[bits.value]);
}

function choose(made, integer) {
  const { levels } = grid(made);
  made.chosen = Math.max(-levels, Math.min(levels, integer));
  say(made);
  made.picture.redraw();
}

function say(made) {
  const here = grid(made);
  const count = made.method.weights.filter((w) => position(w, here) === made.chosen).length;
  made.hover.textContent = `Integer ${short(made.chosen)}, the weight ${short(made.chosen * here.step)}: ${count} of ${made.method.weights.length}`;
}

function draw() {
  for (const made of panels) {
    const here = grid(made);
    const i = share.value;
    const j = bits.value;
    made.chosen = Math.max(-here.levels, Math.min(here.levels, made.chosen));
    const accuracy = `${made.method.accuracy[i][j].toFixed(1)} ± ${made.method.spread[i][j].toFixed(1)}`;
    made.show({
      accuracy,
      full: `${made.method.full[0].toFixed(1)} ± ${made.method.full[1].toFixed(1)}`,
      error: short(relativeError(made.method.weights, here)),
      step: short(here.step),
    });
    made.picture.describe(`histogram of the weights of ${found.layer}, ${made.method.name}; ${2 * here.levels + 1} levels; accuracy ${accuracy} %`);
    say(made);
    made.picture.redraw();
  }
}

function drawPanel(made, context, width, height, colour) {
  const here = grid(made);
  const base = height - 24;
  const x = (w) => 10 + ((w / made.largest + 1) / 2) * (width - 20);
  const bins = Math.max(40, Math.floor((width - 20) / 4));
  const counts = new Array(bins).fill(0);
  for (const w of made.method.weights) {
    counts[Math.max(0, Math.min(bins - 1, Math.floor(((w / made.largest + 1) / 2) * bins)))] += 1;
  }
  const top = Math.log1p(made.method.weights.length);
  // The grid's lines; too many of them would be a grey ground.
  context.strokeStyle = colour.orange;
  context.lineWidth = 1;
  if (here.levels <= 31) {
    for (let k = -here.levels; k <= here.levels; k++) {
      context.beginPath();
      context.moveTo(x(k * here.step), 8);
      context.lineTo(x(k * here.step), base);
      context.stroke();
    }
  } else {
    context.strokeRect(x(-here.levels * here.step), 8, x(here.levels * here.step) - x(-here.levels * here.step), base - 8);
  }
  // The cell of the chosen integer; the outermost ones go on to the ends.
  const chosen = made.chosen;
  const from = chosen === -here.levels ? x(-made.largest) : x((chosen - 0.5) * here.step);
  const to = chosen === here.levels ? x(made.largest) : x((chosen + 0.5) * here.step);
  context.fillStyle = colour.orange;
  context.globalAlpha = 0.18;
  context.fillRect(from, 8, Math.max(1, to - from), base - 8);
  context.globalAlpha = 1;
  context.fillStyle = colour.blue;
  counts.forEach((count, i) => {
    const tall = (Math.log1p(count) / top) * (base - 12);
    context.fillRect(10 + (i * (width - 20)) / bins, base - tall, Math.max(1, (width - 20) / bins - 0.5), tall);
  });
  context.strokeStyle = colour.text;
  context.beginPath();
  context.moveTo(10, base);
  context.lineTo(width - 10, base);
  context.stroke();
  context.fillStyle = colour.text;
  context.textAlign = "center";
  const every = Math.ceil((2 * here.levels + 1) / Math.max(3, Math.floor(width / 40)));
  for (let k = -here.levels; k <= here.levels; k++) {
    if (k % every === 0) context.fillText(String(k).replace("-", "−"), x(nearest(k * here.step, here)), height - 7);
  }
}
