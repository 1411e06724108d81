// How a number comes of others: for each rule its formula, and its working with the numbers it was given. The rules are
// those of limpid.inspection.rules; what is computed here is shown, and equals the model's own number.
import { digits } from "../lib/format.js";

const sum = (row) => row.reduce((total, x) => total + x, 0);
const silu = (x) => x / (1 + Math.exp(-x));
/** A number within a formula: a minus that is one, and brackets where it follows a sign. */
export const num = (x) => (x === null ? "−∞" : digits(x).replace("-", "−"));
const inner = (x) => (x < 0 ? `(${num(x)})` : num(x));

function dot({ numbers, rows }) {
  const products = rows.a.map((a, i) => a * rows.b[i]), bias = numbers.bias ?? 0;
  return { products, total: sum(products) + bias };
}
const mean = (row) => sum(row) / row.length;
const meanSquare = (row) => mean(row.map((x) => x * x));
const variance = (row) => { const middle = mean(row); return mean(row.map((x) => (x - middle) ** 2)); };
function exps(row) {
  const highest = Math.max(...row.map((x) => x ?? -Infinity));
  const each = row.map((x) => (x === null ? 0 : Math.exp(x - highest)));
  return { highest, each, total: sum(each) };
}
/** The error function: its series, or its continued fraction where it is far out. */
function erf(x) {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let term = z, total = z;
    for (let n = 1; n < 80 && Math.abs(term) > 1e-18; n++) { term *= (-z * z) / n; total += term / (2 * n + 1); }
    return (Math.sign(x) * 2 * total) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 80; n > 0; n--) fraction = n / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / ((z + fraction) * Math.sqrt(Math.PI)));
}
export const CURVES = {
  relu: (x) => Math.max(x, 0), relu2: (x) => Math.max(x, 0) ** 2, silu, gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  gelu_tanh: (x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2,
};
const curve = (tex, name) => ({ tex, work: ({ numbers: { x } }) => ({ result: CURVES[name](x), lines: [`f(${num(x)})`], curve: name, x }) });

/**
 * @typedef {{result: number, lines: string[], products?: number[], exps?: number[], curve?: string, x?: number}} Working
 * @type {Record<string, {tex: string, work: (found: any) => Working}>}
 */
export const RULES = {
  copy: { tex: "y = x", work: ({ numbers }) => ({ result: numbers.x, lines: [num(numbers.x)] }) },
  lookup: {
    tex: "y = s\\, W_{\\text{id},\\,i}",
    work: ({ numbers: { w, scale } }) => ({ result: w * scale, lines: [scale === 1 ? num(w) : `${num(scale)} · ${inner(w)}`] }),
  },
  sine: { tex: "\\sin\\!\\left(\\frac{t}{10000^{2i/D}}\\right)", work: ({ numbers: { place, rate } }) => ({ result: Math.sin(place * rate), lines: [`sin(${num(place)} · ${num(rate)})`] }) },
  cosine: { tex: "\\cos\\!\\left(\\frac{t}{10000^{2i/D}}\\right)", work: ({ numbers: { place, rate } }) => ({ result: Math.cos(place * rate), lines: [`cos(${num(place)} · ${num(rate)})`] }) },
  sum: { tex: "y = \\sum_k x_k", work: ({ rows: { terms } }) => ({ result: sum(terms), lines: [terms.map((x, i) => (i ? inner(x) : num(x))).join(" + ")] }) },
  dot: { tex: "y = \\sum_{i=1}^{n} a_i\\, b_i", biased: "y = \\sum_{i=1}^{n} a_i\\, b_i + \\beta", work: (found) => { const { products, total } = dot(found); return { result: total, products, lines: [] }; } },
  capped: {
    tex: "y = c\\,\\tanh\\!\\left(\\tfrac1c \\sum_{i=1}^{n} a_i\\, b_i\\right)",
    work: (found) => { const { products, total } = dot(found), { cap } = found.numbers; return { result: cap * Math.tanh(total / cap), products, lines: [`${num(cap)} · tanh(${num(total)} / ${num(cap)})`] }; },
  },
  scaled: { tex: "y = \\frac{x}{\\sqrt{C}}", work: ({ numbers: { x, width } }) => ({ result: x / Math.sqrt(width), lines: [`${num(x)} / √${num(width)}`, `${num(x)} / ${num(Math.sqrt(width))}`] }) },
  masked: { tex: "y = x + m", work: ({ numbers: { x, mask } }) => ({ result: mask === null ? -Infinity : x + mask, lines: [`${num(x)} ${mask === null ? "− ∞" : `+ ${num(mask)}`}`] }) },
  softmax: {
    tex: "p_j = \\frac{e^{x_j - \\max x}}{\\sum_k e^{x_k - \\max x}}",
    work: ({ numbers: { at }, rows: { x } }) => { const { highest, each, total } = exps(x); return { result: each[at] / total, exps: each, lines: [`exp(${num(x[at])} − ${inner(highest)}) / ${num(total)}`, `${num(each[at])} / ${num(total)}`] }; },
  },
  portion: {
    tex: "p_j = \\frac{e^{x_j - \\max x}}{\\sum_k e^{x_k - \\max x}}",
    work: ({ numbers: { x, highest, total } }) => ({ result: Math.exp(x - highest) / total, lines: [`exp(${num(x)} − ${inner(highest)}) / ${num(total)}`, `${num(Math.exp(x - highest))} / ${num(total)}`] }),
  },
  rms: { tex: "r = \\sqrt{\\tfrac1n \\sum_i x_i^2 + \\varepsilon}", work: ({ numbers: { eps }, rows: { x } }) => ({ result: Math.sqrt(meanSquare(x) + eps), lines: [`√(${num(meanSquare(x))} + ${num(eps)})`] }) },
  deviation: { tex: "\\sigma = \\sqrt{\\tfrac1n \\sum_i (x_i - \\mu)^2 + \\varepsilon}", work: ({ numbers: { eps }, rows: { x } }) => ({ result: Math.sqrt(variance(x) + eps), lines: [`μ = ${num(mean(x))}`, `√(${num(variance(x))} + ${num(eps)})`] }) },
  rms_norm: {
    tex: "y_j = \\frac{x_j}{\\sqrt{\\tfrac1n \\sum_i x_i^2 + \\varepsilon}}\\; g_j",
    work: ({ numbers: { at, eps, weight }, rows: { x } }) => {
      const root = Math.sqrt(meanSquare(x) + eps);
      return { result: (x[at] / root) * weight, lines: [`${num(x[at])} / √(${num(meanSquare(x))} + ${num(eps)}) · ${inner(weight)}`, `${num(x[at])} / ${num(root)} · ${inner(weight)}`] };
    },
  },
  layer_norm: {
    tex: "y_j = \\frac{x_j - \\mu}{\\sqrt{\\sigma^2 + \\varepsilon}}\\; g_j + b_j",
    work: ({ numbers: { at, eps, weight, bias }, rows: { x } }) => {
      const middle = mean(x), root = Math.sqrt(variance(x) + eps);
      return { result: ((x[at] - middle) / root) * weight + bias, lines: [`μ = ${num(middle)}, σ² = ${num(variance(x))}`, `(${num(x[at])} − ${inner(middle)}) / ${num(root)} · ${inner(weight)} + ${inner(bias)}`] };
    },
  },
  turn: {
    tex: "\\begin{pmatrix} y_i \\\\ y_{i+C/2} \\end{pmatrix} = \\begin{pmatrix} \\cos\\theta & -\\sin\\theta \\\\ \\sin\\theta & \\cos\\theta \\end{pmatrix} \\begin{pmatrix} x_i \\\\ x_{i+C/2} \\end{pmatrix}",
    work: ({ numbers: { own, other, cos, sin, sign } }) => ({ result: own * cos + sign * other * sin, lines: [`${num(own)} · ${inner(cos)} ${sign < 0 ? "−" : "+"} ${inner(other)} · ${inner(sin)}`] }),
  },
  relu: curve("y = \\max(x, 0)", "relu"),
  relu2: curve("y = \\max(x, 0)^2", "relu2"),
  silu: curve("y = \\frac{x}{1 + e^{-x}}", "silu"),
  gelu: curve("y = x\\,\\Phi(x)", "gelu"),
  gelu_tanh: curve("y = \\tfrac{x}{2}\\left(1 + \\tanh\\!\\left(\\sqrt{\\tfrac2\\pi}\\,(x + 0.044715\\,x^3)\\right)\\right)", "gelu_tanh"),
  swiglu: {
    tex: "y = \\frac{g}{1 + e^{-g}}\\; u",
    work: ({ numbers: { gate, up } }) => ({ result: silu(gate) * up, lines: [`silu(${num(gate)}) · ${inner(up)}`, `${num(silu(gate))} · ${inner(up)}`], curve: "silu", x: gate }),
  },
  choice: {
    tex: "e_j = \\text{the } j\\text{-th largest of } x",
    work: ({ numbers: { at }, rows: { x } }) => ({ result: x.map((value, i) => [value, i]).sort((a, b) => b[0] - a[0] || a[1] - b[1])[at][1], exps: exps(x).each, lines: [] }),
  },
  share: {
    tex: "w_j = \\frac{p_{e_j}}{\\sum_{k \\text{ chosen}} p_{e_k}}",
    work: ({ numbers: { at, normalise }, rows: { x, chosen } }) => {
      const { each, total } = exps(x), p = chosen.map((expert) => each[expert] / total), whole = normalise ? sum(p) : 1;
      return { result: p[at] / whole, exps: each, lines: [`${num(p[at])} / ${num(whole)}`] };
    },
  },
};

/** The formula of a working. */
export const formula = (found) => (found.numbers.bias !== undefined && RULES[found.rule].biased) || RULES[found.rule].tex;
