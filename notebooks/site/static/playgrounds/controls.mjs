// What the playgrounds share: sliders and choices with labels, a canvas that follows its size and the theme.

/** A labelled slider; `show` turns its value into the words beside it. */
export function slider(parent, { label, min, max, step, value, show = String }, changed) {
  const row = element("label", { className: "control" }, parent);
  element("span", { textContent: label }, row);
  const input = element("input", { type: "range", min, max, step, value }, row);
  const output = element("output", {}, row);
  const update = () => {
    output.textContent = show(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    update();
    changed();
  });
  update();
  return {
    get value() {
      return Number(input.value);
    },
    set value(next) {
      input.value = next;
      update();
    },
    update,
  };
}

/** A labelled choice among [value, words]. */
export function choice(parent, { label, options, value }, changed) {
  const row = element("label", { className: "control" }, parent);
  element("span", { textContent: label }, row);
  const select = element("select", {}, row);
  for (const [key, words] of options) element("option", { value: key, textContent: words }, select);
  if (value !== undefined) select.value = value;
  select.addEventListener("change", changed);
  return {
    get value() {
      return select.value;
    },
  };
}

/** A button. */
export function button(parent, words, pressed) {
  const made = element("button", { type: "button", textContent: words, className: "button" }, parent);
  made.addEventListener("click", pressed);
  return made;
}

/** A table of words and numbers, spoken when it changes and nothing moves. */
export function numbers(parent, caption, names) {
  const table = element("table", { className: "numbers" }, parent);
  if (caption) element("caption", { textContent: caption }, table);
  const cells = {};
  for (const [key, words] of Object.entries(names)) {
    const row = element("tr", {}, element("tbody", {}, table));
    element("th", { scope: "row", textContent: words }, row);
    cells[key] = element("td", {}, row);
    cells[key].dataset.number = key;
  }
  return (values) => {
    for (const [key, value] of Object.entries(values)) cells[key].textContent = value;
  };
}

/** A canvas as wide as its parent; `draw(context, width, height, colours)` is called whenever it has to be. */
export function picture(parent, { label, height }, draw) {
  const canvas = element("canvas", { className: "picture" }, parent);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  canvas.style.height = `${height}px`;
  const redraw = () => {
    const width = canvas.clientWidth;
    const dense = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
      canvas.width = Math.round(width * dense);
      canvas.height = Math.round(height * dense);
    }
    const context = canvas.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    draw(context, width, height, colours());
  };
  new ResizeObserver(redraw).observe(canvas);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return { canvas, redraw, describe: (words) => canvas.setAttribute("aria-label", words) };
}

/** The theme's colours; blue and orange are readable on both grounds. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const dark = document.documentElement.dataset.theme === "dark";
  return {
    text: style.getPropertyValue("--pst-color-text-base").trim() || "#222",
    muted: style.getPropertyValue("--pst-color-text-muted").trim() || "#555",
    line: style.getPropertyValue("--pst-color-border").trim() || "#ccc",
    blue: dark ? "#6cb6ff" : "#0b61a4",
    orange: dark ? "#ffa657" : "#b54708",
    ground: style.getPropertyValue("--pst-color-background").trim() || "#fff",
  };
}

/** Whether the reader has asked for less motion. */
export function still() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** An element with these properties, at the end of a parent. */
export function element(name, properties, parent) {
  const made = Object.assign(document.createElement(name), properties);
  parent?.append(made);
  return made;
}

/** A number in few digits, with a true minus. */
export function short(value, digits = 3) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "–";
  // What is left of a sum that is nothing but rounding is 0.
  const text = Math.abs(value) < 1e-12 ? 0 : Number(value.toPrecision(digits));
  return (Math.abs(text) >= 1e5 || (text !== 0 && Math.abs(text) < 1e-4) ? text.toExponential() : String(text)).replace("-", "−");
}

/** Random numbers that are the same on every visit (mulberry32), and normal ones from them. */
export function random(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  // Box and Muller's method makes two at a time.
  let spare = null;
  const normal = () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { uniform, normal };
}
