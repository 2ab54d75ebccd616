// Holds the playgrounds' formulas to the numbers of psgd_ref in points.json and prints the largest relative error.
import { readFileSync } from "node:fs";
import * as m from "./static/playgrounds/mathematics.mjs";

const read = (name) => JSON.parse(readFileSync(name === undefined ? 0 : new URL(name, import.meta.url)));
const points = read("points.json");
const records = read();
const { lr, gradient, decay, slope, variance } = points.constants;
const worst = {};

function compare(name, found, wanted) {
  found.forEach((value, i) => {
    const error = Math.abs(value - wanted[i]) / Math.max(1, Math.abs(wanted[i]));
    worst[name] = Math.max(worst[name] ?? 0, Number.isNaN(error) ? Infinity : error);
  });
}

for (const { step, levels, eps, strength, w, ...wanted } of points.warps) {
  const grid = { step, levels };
  compare("strength", [m.volumeStrength(step, eps)], [strength]);
  compare("nearest", w.map((x) => m.nearest(x, grid)), wanted.nearest);
  compare("scale", w.map((x) => m.scale(x, grid, eps, strength)), wanted.scale);
  compare("warp", w.map((x) => m.warp(x, grid, eps, strength)), wanted.warp);
  compare("psgd", w.map((x) => m.step(x, gradient, lr, grid, eps, strength)), wanted.psgd);
  compare("to grid", w.map((x) => m.step(x, gradient, lr, grid, eps, strength, decay, true)), wanted.to_grid);
  compare("to zero", w.map((x) => m.step(x, gradient, lr, grid, eps, strength, decay, false)), wanted.to_zero);
}
for (const { eps, strength, density, log } of points.densities) {
  const grid = { step: 1, levels: 3 };
  const offsets = Array.from({ length: 2001 }, (_, i) => -0.5 + i / 2000);
  const shown = (values) => values.filter((_, i) => i % 50 === 0);
  const flat = m.logDensity(offsets, grid, eps, strength, 0, lr, variance);
  compare("density", shown(m.normalised(flat, offsets)).map((p, i) => p / density[i]), density.map(() => 1));
  const tilted = m.logDensity(offsets, grid, eps, strength, slope, lr, variance);
  compare("log density", shown(tilted.map((value) => value - tilted[0])), log);
}
for (const { bits, w, step, error } of points.grids) {
  const grid = m.gridOf(Math.max(...w.map(Math.abs)), bits);
  compare("grid", [grid.step, m.relativeError(w, grid)], [step, error]);
}
for (const { name, bits, w, q } of points.quantizers) {
  const stairs = m.staircase(records.find((record) => record.name === name && record.bits === bits));
  compare("quantizers", w.map((x) => m.quantize(x, stairs)), q);
}
process.stdout.write(JSON.stringify(worst));
