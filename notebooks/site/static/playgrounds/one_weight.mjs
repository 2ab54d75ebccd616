// One weight on the warped line: a cloud of weights in w and in y = f(w), and its density against the law.
import { button, choice, element, numbers, picture, random, short, slider, still } from "./controls.mjs";
import { gridOf, logDensity, nearest, normalised, relativeError, scale, step, volumeStrength, warp } from "./mathematics.mjs";

const PARTICLES = 1500;
const POINTS = 1201;

const root = document.getElementById("playground");
const controls = element("div", { className: "controls" }, root);
const pictures = element("div", { className: "pictures two" }, root);
const below = element("div", { className: "below" }, root);

let state;
let running = !still();
let dice = random(1);

const changed = () => {
  read();
  restart();
};
const bits = slider(controls, { label: "bits", min: 2, max: 4, step: 1, value: 3 }, changed);
const eps = slider(controls, { label: "ε, in steps of the grid", min: 0, max: 0.25, step: 0.005, value: 0.05, show: (x) => `${short(x)} Δ` }, changed);
const strength = slider(controls, { label: "λ, in parts of λ*", min: 0.1, max: 2, step: 0.05, value: 1, show: (x) => `${short(x)} λ*` }, changed);
const rate = slider(controls, { label: "step size η", min: -3, max: -0.5, step: 0.05, value: -1.7, show: (x) => short(10 ** x) }, changed);
const noise = slider(controls, { label: "noise of the gradient, √v", min: 0, max: 1, step: 0.02, value: 0.5, show: (x) => short(x) }, changed);
const slope = slider(controls, { label: "slope of the loss", min: -0.05, max: 0.05, step: 0.002, value: 0, show: (x) => short(x) }, changed);
const decay = slider(controls, { label: "weight decay κ", min: 0, max: 0.1, step: 0.002, value: 0, show: (x) => short(x) }, changed);
const target = choice(controls, { label: "decay to", options: [["grid", "the grid"], ["zero", "zero"]] }, changed);

const inW = line("The line w: targets are long ticks, walls between cells short ones", "w");
const inY = line("The warped line y = f(w), stretched around the targets", "y");

const buttons = element("div", { className: "buttons" }, below);
const play = button(buttons, "", () => {
  running = !running;
  label();
  if (running) requestAnimationFrame(tick);
});
button(buttons, "Take 100 steps", () => {
  advance(100);
  draw();
});
button(buttons, "Take 5000 steps", () => {
  advance(5000);
  draw();
});
button(buttons, "Restart", restart);
const show = numbers(below, "In numbers", {
  steps: "steps taken",
  delta: "Δ, the grid's step",
  lambda: "λ",
  volume: "λ*, which keeps the volume of a cell",
  largest: "S, the largest scale",
  size: "ηλ√v, which the law takes to be small",
  error: "mean squared distance to the grid / (Δ²/12)",
  law: "the same by the law",
  mean: "mean weight / Δ",
  meanLaw: "the same by the law",
  hold: "a target holds while |slope| is below",
});

function line(caption, space) {
  const figure = element("figure", {}, pictures);
  element("figcaption", { textContent: caption }, figure);
  return picture(figure, { label: caption, height: 250 }, (...a) => drawLine(...a, space));
}

function read() {
  const grid = gridOf(1, bits.value);
  const epsilon = eps.value * grid.step;
  const star = volumeStrength(grid.step, epsilon);
  state = {
    ...state,
    grid,
    eps: epsilon,
    star,
    strength: strength.value * star,
    lr: 10 ** rate.value,
    noise: noise.value,
    slope: slope.value,
    decay: decay.value,
    toGrid: target.value === "grid",
    edge: 1 + grid.step / 2,
  };
  const { edge } = state;
  const points = Array.from({ length: POINTS }, (_, i) => -edge + (2 * edge * i) / (POINTS - 1));
  state.points = points;
  // Without noise, or with ε = 0, all mass is on single points: there is no density to draw.
  state.density =
    state.noise > 0 && state.eps > 0
      ? normalised(
          logDensity(points, grid, epsilon, state.strength, state.slope, state.lr, state.noise ** 2, state.decay, state.toGrid),
          points,
        )
      : null;
}

function restart() {
  dice = random(1);
  state.weights = Float64Array.from({ length: PARTICLES }, () => (2 * dice.uniform() - 1) * state.edge);
  state.height = Float64Array.from({ length: PARTICLES }, () => dice.uniform());
  state.steps = 0;
  if (still()) advance(2000);
  draw();
}

function advance(count) {
  const { weights, grid, lr, edge } = state;
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < weights.length; i++) {
      const g = state.slope + (state.noise > 0 ? state.noise * dice.normal() : 0);
      let w = step(weights[i], g, lr, grid, state.eps, state.strength, state.decay, state.toGrid);
      // The ends of the line reflect.
      if (w > edge) w = Math.max(-edge, 2 * edge - w);
      if (w < -edge) w = Math.min(edge, -2 * edge - w);
      weights[i] = w;
    }
  }
  state.steps += count;
}

function label() {
  play.textContent = running ? "Pause" : "Run";
}

function tick() {
  if (!running) return;
  advance(4);
  draw();
  requestAnimationFrame(tick);
}

function draw() {
  inW.redraw();
  inY.redraw();
  const { grid, points, density, weights } = state;
  const none = state.noise === 0 ? "needs noise" : "no density: all weights end on targets";
  const average = (f) => density.reduce((sum, p, i) => sum + p * f(points[i]), 0) * (points[1] - points[0]);
  show({
    steps: String(state.steps),
    delta: short(grid.step),
    lambda: short(state.strength),
    volume: short(state.star),
    largest: short(scale(grid.step / 2, grid, state.eps, state.strength)),
    size: short(state.lr * state.strength * state.noise),
    error: short(relativeError(weights, grid)),
    law: density ? short(average((w) => (w - nearest(w, grid)) ** 2) / (grid.step ** 2 / 12)) : none,
    mean: short(weights.reduce((sum, w) => sum + w, 0) / weights.length / grid.step),
    meanLaw: density ? short(average((w) => w) / grid.step) : none,
    hold: state.decay > 0 && state.toGrid ? `κ/λ = ${short(state.decay / state.strength)} (ε = 0)` : "needs decay to the grid",
  });
}

function drawLine(context, width, height, colour, space) {
  if (!state?.weights) return;
  const { grid, edge, points, density } = state;
  const map = space === "w" ? (w) => w : (w) => warp(w, grid, state.eps, state.strength);
  const end = map(edge);
  const x = (w) => 10 + ((map(w) + end) / (2 * end)) * (width - 20);
  const base = height - 50;
  // Mass in each of the bins, over their width in this space.
  const bins = Math.max(40, Math.min(150, Math.floor(width / 4)));
  const counts = new Float64Array(bins);
  for (const w of state.weights) {
    counts[Math.max(0, Math.min(bins - 1, Math.floor(((map(w) + end) / (2 * end)) * bins)))] += 1;
  }
  const heights = counts.map((count) => (count / state.weights.length) * bins / (2 * end));
  // dy = dw/√s: a density over y is the density over w times √s.
  const curve = density?.map((p, i) => (space === "w" ? p : p * Math.sqrt(scale(points[i], grid, state.eps, state.strength))));
  // Peaks of the law are averaged over a bin, as the bars are, so that both have one scale.
  const smooth = curve && binned(curve, points, map, end, bins);
  const top = Math.max(...heights, ...(smooth ?? [0])) * 1.1 || 1;
  context.fillStyle = colour.blue;
  context.globalAlpha = 0.45;
  heights.forEach((value, i) => {
    const tall = (value / top) * (base - 10);
    context.fillRect(10 + (i * (width - 20)) / bins, base - tall, (width - 20) / bins - 0.5, tall);
  });
  context.globalAlpha = 1;
  if (smooth) {
    context.strokeStyle = colour.orange;
    context.lineWidth = 2;
    context.beginPath();
    smooth.forEach((value, i) => {
      const px = 10 + ((i + 0.5) * (width - 20)) / bins;
      context.lineTo(px, base - (value / top) * (base - 10));
    });
    context.stroke();
  }
  context.fillStyle = colour.blue;
  context.globalAlpha = 0.5;
  for (let i = 0; i < state.weights.length; i += 5) {
    context.fillRect(x(state.weights[i]) - 1, base + 4 + state.height[i] * 16, 2, 2);
  }
  context.globalAlpha = 1;
  context.strokeStyle = colour.text;
  context.lineWidth = 1;
  stroke(context, 10, base, width - 10, base);
  context.fillStyle = colour.text;
  context.textAlign = "center";
  for (let k = -grid.levels; k <= grid.levels; k++) {
    const px = x(k * grid.step);
    stroke(context, px, base - 5, px, base + 24);
    if (grid.levels <= 3 || k % (width < 400 ? 7 : 2) === 0 || k === 0) context.fillText(String(k).replace("-", "−"), px, base + 40);
    const wall = (k + 0.5) * grid.step;
    if (k < grid.levels) stroke(context, x(wall), base, x(wall), base + 8);
  }
}

function binned(curve, points, map, end, bins) {
  const mass = new Float64Array(bins);
  for (let i = 0; i + 1 < points.length; i++) {
    const from = map(points[i]);
    const to = map(points[i + 1]);
    const share = ((curve[i] + curve[i + 1]) / 2) * (to - from);
    const middle = (from + to) / 2;
    mass[Math.max(0, Math.min(bins - 1, Math.floor(((middle + end) / (2 * end)) * bins)))] += share;
  }
  return [...mass].map((value) => (value * bins) / (2 * end));
}

function stroke(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

read();
restart();
label();
if (running) requestAnimationFrame(tick);
