// The formulas of psgd_ref.core on single numbers, for a uniform grid {−levels, …, levels}·step.
// tests/site holds them to psgd_ref on the points in points.json.

/** Nearest integer; of two as near the even one. */
export function rint(x) {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Position of the nearest target. */
export function position(w, grid) {
  return Math.max(-grid.levels, Math.min(grid.levels, rint(w / grid.step)));
}

/** w̄, the nearest target. */
export function nearest(w, grid) {
  return position(w, grid) * grid.step;
}

/** ℓ(Δ), length of a gap in the warped space (claim A1). */
export function cellLength(gap, eps, strength = 1) {
  const half = gap / 2;
  return half > 0 ? (half / (Math.sqrt(half + eps) + Math.sqrt(eps))) * (4 / Math.sqrt(strength)) : 0;
}

/** λ*, the strength that keeps the volume of a cell (claim C3). */
export function volumeStrength(step, eps) {
  return (cellLength(step, eps) / step) ** 2;
}

/** How far the scale grows: half a step beyond the outermost targets (claim A5). */
function reach(k, offset, grid) {
  return k * Math.sign(offset) >= grid.levels ? grid.step / 2 : Infinity;
}

/** s(w) = λ(d + ε), held beyond the range. */
export function scale(w, grid, eps, strength) {
  const k = position(w, grid);
  const offset = w - k * grid.step;
  return strength * (Math.min(Math.abs(offset), reach(k, offset, grid)) + eps);
}

/** y = f(w) (claim A1). */
export function warp(w, grid, eps, strength) {
  const k = position(w, grid);
  const offset = w - k * grid.step;
  const d = Math.abs(offset);
  const near = Math.min(d, reach(k, offset, grid));
  const beyond = d > near ? (d - near) / Math.sqrt(strength * (near + eps)) : 0;
  const length = cellLength(2 * near, eps, strength) / 2 + beyond;
  return k * cellLength(grid.step, eps, strength) + Math.sign(offset) * length;
}

/**
 * One step of PSGD with weight decay outside the scaling (claims D5, E4, E5):
 * w − η(s g + κ(w − a)), where a is 0, or the nearest target for decay to the grid.
 */
export function step(w, g, lr, grid, eps, strength, decay = 0, toGrid = true) {
  const pull = decay === 0 ? 0 : decay * (w - (toGrid ? nearest(w, grid) : 0));
  return w - lr * (scale(w, grid, eps, strength) * g + pull);
}

/**
 * Logarithm of the stationary density of the small-step limit, up to a constant, at each of `points`
 * (evenly spaced): p ∝ s⁻² exp(∫ 2b/(η²s²v)), b = −η(s a + κ(w − …)), a the slope of the loss (claim E1
 * for κ = 0). The integral is the midpoint rule on four parts of each interval.
 */
export function logDensity(points, grid, eps, strength, slope, lr, variance, decay = 0, toGrid = true) {
  const drift = (w) => {
    const s = scale(w, grid, eps, strength);
    const pull = decay === 0 ? 0 : decay * (w - (toGrid ? nearest(w, grid) : 0));
    return (-2 * (s * slope + pull)) / (lr * s * s * variance);
  };
  const found = [];
  let integral = 0;
  for (let i = 0; i < points.length; i++) {
    if (i > 0) {
      const width = points[i] - points[i - 1];
      for (const part of [0.125, 0.375, 0.625, 0.875]) {
        integral += (drift(points[i - 1] + part * width) * width) / 4;
      }
    }
    found.push(integral - 2 * Math.log(scale(points[i], grid, eps, strength)));
  }
  return found;
}

/** The density itself, with the integral 1 over the points by the trapezoidal rule. */
export function normalised(logs, points) {
  const top = Math.max(...logs);
  const density = logs.map((value) => Math.exp(value - top));
  let mass = 0;
  for (let i = 1; i < points.length; i++) {
    mass += ((density[i] + density[i - 1]) / 2) * (points[i] - points[i - 1]);
  }
  return density.map((value) => value / mass);
}

/** The grid whose outermost level is `largest` (psgd_ref.compress.MinMaxGrid, ClipGrid). */
export function gridOf(largest, bits) {
  const levels = 2 ** (bits - 1) - 1;
  return { step: largest / levels, levels };
}

/** Mean of (w − w̄)², relative to Δ²/12. */
export function relativeError(weights, grid) {
  let sum = 0;
  for (const w of weights) sum += (w - nearest(w, grid)) ** 2;
  return sum / weights.length / (grid.step ** 2 / 12);
}

/**
 * A staircase: sorted values and the walls between them. `record` has values, of which the nearest is taken
 * (of two as near the one an even number of places from that nearest to zero), or samples w and q of one that
 * was measured, whose walls lie somewhere between two samples.
 */
export function staircase(record) {
  if (record.values) {
    const { values } = record;
    const walls = values.slice(1).map((value, i) => values[i] + (value - values[i]) / 2);
    let origin = 0;
    values.forEach((value, i) => {
      if (Math.abs(value) < Math.abs(values[origin])) origin = i;
    });
    return { values, walls, origin };
  }
  const values = [record.q[0]];
  const walls = [];
  for (let i = 1; i < record.q.length; i++) {
    if (record.q[i] !== record.q[i - 1]) {
      values.push(record.q[i]);
      walls.push((record.w[i] + record.w[i - 1]) / 2);
    }
  }
  return { values, walls, origin: 0 };
}

/** Which value a weight takes, by its place in `values`. */
export function place(w, { walls, origin }) {
  let below = 0;
  while (below < walls.length && walls[below] < w) below += 1;
  if (below < walls.length && walls[below] === w && Math.abs(below - origin) % 2 === 1) return below + 1;
  return below;
}

/** Q(w). */
export function quantize(w, stairs) {
  return stairs.values[place(w, stairs)];
}
