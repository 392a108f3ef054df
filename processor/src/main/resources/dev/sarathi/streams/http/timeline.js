// The latest iterations as columns: decode tokens, prefill chunks on top of them, the token budget,
// and below how long each took.

const GUTTER = 46;
const TOP = 14;
const DURATION_HEIGHT = 46;
const LANE_GAP = 26;
const IDLE_MS = 1000;

const count = new Intl.NumberFormat("en");

/** What the places of an iteration's array are. */
export function iterationOf([number, at, millis, decodes, prefill, budget, preempted, chunks]) {
  return {
    number, at, millis, decodes, prefill, budget, preempted,
    chunks: chunks.map(([request, start, tokens]) => ({ request, start, tokens })),
  };
}

export function describe(iteration) {
  const chunks = iteration.chunks.map(
    (chunk) => `${count.format(chunk.tokens)} of ${chunk.request} from position ${count.format(chunk.start)}`);
  const parts = [];
  if (iteration.decodes > 0) {
    parts.push(`${count.format(iteration.decodes)} decode token${iteration.decodes === 1 ? "" : "s"}`);
  }
  if (chunks.length > 0) {
    const shown = chunks.slice(0, 3).join("; ");
    const more = chunks.length > 3 ? `; and ${chunks.length - 3} more` : "";
    parts.push(`prefill chunk${chunks.length === 1 ? "" : "s"}: ${shown}${more}`);
  }
  const used = iteration.decodes + iteration.prefill;
  const budget = iteration.budget > 0 ? ` (${count.format(used)} of ${count.format(iteration.budget)} tokens)` : "";
  const lost = iteration.preempted > 0 ? `, ${iteration.preempted} preempted` : "";
  return `Iteration ${count.format(iteration.number)}: ${parts.join(" beside ")}${budget}, ${iteration.millis.toFixed(1)} ms${lost}`;
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

export class Timeline {
  #canvas;
  #inks;
  #iterations = [];
  #capacity = 1000;
  #range = 1000;
  #cursor = null;
  #due = false;
  #onLook;

  /** onLook is told the iteration that the cursor is at, or null, and whether by the keyboard. */
  constructor(canvas, inks, onLook) {
    this.#canvas = canvas;
    this.#inks = inks;
    this.#onLook = onLook;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => this.#look(null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  get iterations() {
    return this.#iterations;
  }

  set capacity(value) {
    this.#capacity = value;
  }

  set range(value) {
    this.#range = value;
    this.draw();
  }

  clear() {
    this.#iterations = [];
    this.draw();
  }

  add(iterations) {
    if (iterations.length > 0) {
      this.#iterations = this.#iterations.concat(iterations).slice(-this.#capacity);
      this.draw();
    }
  }

  /** Those that there is room for: no column is narrower than a pixel. */
  get shown() {
    const room = Math.floor(this.#canvas.clientWidth - GUTTER);
    return this.#iterations.slice(-Math.max(1, Math.min(this.#range, room)));
  }

  draw() {
    if (!this.#due) {
      this.#due = true;
      requestAnimationFrame(() => {
        this.#due = false;
        this.#paint();
      });
    }
  }

  #columns() {
    const width = this.#canvas.clientWidth - GUTTER;
    return { width, column: width / Math.min(this.#range, Math.max(1, Math.floor(width))) };
  }

  #point(event) {
    const { width, column } = this.#columns();
    const shown = this.shown;
    const right = event.offsetX - GUTTER - (width - shown.length * column);
    const index = Math.floor(right / column);
    this.#look(index >= 0 && index < shown.length ? shown[index].number : null);
  }

  #key(event) {
    const shown = this.shown;
    if (shown.length === 0) {
      return;
    }
    const last = shown.length - 1;
    const found = shown.findIndex((iteration) => iteration.number === this.#cursor);
    const at = found < 0 ? last + 1 : found;
    const to = {
      ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1,
      PageUp: at + 20, PageDown: at - 20, Home: 0, End: last,
    }[event.key];
    if (event.key === "Escape") {
      this.#look(null, true);
    } else if (to !== undefined) {
      event.preventDefault();
      this.#look(shown[Math.max(0, Math.min(last, to))].number, true);
    }
  }

  #look(number, byKey = false) {
    this.#cursor = number;
    this.#onLook(this.#iterations.find((iteration) => iteration.number === number) ?? null, byKey);
    this.draw();
  }

  #ink(name) {
    const style = getComputedStyle(this.#inks[name]);
    return name === "text" || name === "line" ? style.color : style.backgroundColor;
  }

  #paint() {
    const canvas = this.#canvas;
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (width === 0) {
      return;
    }
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const shown = this.shown;
    if (shown.length === 0) {
      return;
    }
    const dim = this.#ink("text");
    const bottom = height - DURATION_HEIGHT - LANE_GAP;
    const laneHeight = bottom - TOP;
    const mostTokens = nice(Math.max(...shown.map((it) => Math.max(it.decodes + it.prefill, it.budget))));
    const mostMillis = nice(Math.max(...shown.map((it) => it.millis)));
    const column = this.#columns().column;
    const left = width - shown.length * column;
    const y = (tokens) => bottom - (tokens / mostTokens) * laneHeight;

    context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const tokens of [0, mostTokens / 2, mostTokens]) {
      this.#rule(context, Math.round(y(tokens)) + 0.5, width, dim, tokens === 0);
      context.fillStyle = dim;
      context.fillText(count.format(tokens), GUTTER - 8, y(tokens));
    }
    this.#rule(context, height - 0.5, width, dim, true);
    this.#rule(context, height - DURATION_HEIGHT + 0.5, width, dim, false);
    const longest = mostMillis < 1000 ? `${mostMillis} ms` : `${count.format(mostMillis / 1000)} s`;
    context.fillText(longest, GUTTER - 8, height - DURATION_HEIGHT);
    context.fillText("0", GUTTER - 8, height - 6);
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText("tokens of each iteration", GUTTER + 2, TOP - 4);
    context.fillText("duration of each iteration", GUTTER + 2, height - DURATION_HEIGHT - 5);

    const inks = {
      decode: this.#ink("decode"), prefill: this.#ink("prefill"), duration: this.#ink("duration"),
      ground: getComputedStyle(canvas.closest(".panel")).backgroundColor,
    };
    shown.forEach((iteration, index) => {
      // Whole pixels: half ones would make a pattern of equal columns.
      const x = Math.round((left + index * column) * ratio) / ratio;
      const next = Math.round((left + (index + 1) * column) * ratio) / ratio;
      const bar = next - x - (column >= 4 ? 1 : 0);
      let top = bottom;
      if (iteration.decodes > 0) {
        const size = Math.max(2, bottom - y(iteration.decodes));
        context.fillStyle = inks.decode;
        context.fillRect(x, top - size, bar, size);
        top -= size;
      }
      context.fillStyle = inks.prefill;
      for (const chunk of iteration.chunks) {
        const size = Math.max(2, bottom - y(chunk.tokens));
        const seam = size > 5 && column >= 3 ? 1 : 0;
        context.fillRect(x, top - size, bar, size - seam);
        top -= size;
      }
      const tall = Math.max(1, (iteration.millis / mostMillis) * DURATION_HEIGHT);
      context.fillStyle = inks.duration;
      context.fillRect(x, height - tall, bar, tall);
      const before = shown[index - 1];
      if (before && iteration.at - iteration.millis - before.at > IDLE_MS) {
        context.fillStyle = dim;
        for (let dash = TOP; dash < height; dash += 6) {
          context.fillRect(Math.round(x) - 0.5, dash, 1, 3);
        }
      }
    });
    this.#budget(context, shown, left, column, y);
    this.#mark(context, shown, left, column, height);
  }

  #rule(context, y, width, ink, strong) {
    context.globalAlpha = strong ? 0.7 : 0.22;
    context.fillStyle = ink;
    context.fillRect(GUTTER, y - 0.5, width - GUTTER, 1);
    context.globalAlpha = 1;
  }

  /** A line where it stays, a step where it changes. */
  #budget(context, shown, left, column, y) {
    context.strokeStyle = this.#ink("budget");
    context.lineWidth = 1.25;
    context.beginPath();
    let drawing = false;
    shown.forEach((iteration, index) => {
      const x = left + index * column;
      if (iteration.budget === 0) {
        drawing = false;
      } else {
        const at = y(iteration.budget);
        if (drawing) {
          context.lineTo(x, at);
        } else {
          context.moveTo(x, at);
        }
        context.lineTo(x + column, at);
        drawing = true;
      }
    });
    context.stroke();
  }

  #mark(context, shown, left, column, height) {
    const index = shown.findIndex((iteration) => iteration.number === this.#cursor);
    if (index >= 0) {
      const middle = left + (index + 0.5) * column;
      context.fillStyle = this.#ink("budget");
      context.globalAlpha = 0.75;
      context.fillRect(Math.round(middle) - 0.5, TOP, 1, height - TOP);
      context.globalAlpha = 1;
    }
  }
}
