// Loss by epoch, with axes: training as a line, test dashed.
import { css } from "../lib/colors.js";
import { fitted } from "../lib/field.js";
import { number } from "../lib/i18n.js";

const LEFT = 40, BOTTOM = 20, TOP = 6, RIGHT = 8;

/** @param {[number, number, number][]} rows epoch, training, test */
export function drawCurves(canvas, rows, width, height, colors) {
  const context = fitted(canvas, width, height);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = css(colors.soft);
  const finite = rows.filter((row) => Number.isFinite(row[1])), most = Math.max(0.001, ...finite.slice(-800).map((row) => Math.max(row[1], Number.isFinite(row[2]) ? row[2] : 0)), ...finite.slice(0, 400).map((row) => row[1]));
  const step = nice(most / 3), top = Math.ceil(most / step) * step, last = Math.max(10, rows.at(-1)?.[0] ?? 0), stride = nice(last / 4);
  const x = (epoch) => LEFT + (epoch / last) * (width - LEFT - RIGHT), y = (loss) => TOP + (1 - Math.min(loss, top) / top) * (height - TOP - BOTTOM);
  context.strokeStyle = css(colors.rule); context.lineWidth = 1;
  context.textAlign = "right"; context.textBaseline = "middle";
  for (let tick = 0; tick <= top * 1.001; tick += step) {
    context.beginPath(); context.moveTo(LEFT, Math.round(y(tick)) + 0.5); context.lineTo(width - RIGHT, Math.round(y(tick)) + 0.5); context.stroke();
    context.fillText(number(tick, 4), LEFT - 6, y(tick));
  }
  context.textBaseline = "alphabetic";
  for (let tick = 0; tick <= last; tick += stride) { context.textAlign = tick === 0 ? "left" : tick > last * 0.94 ? "right" : "center"; context.fillText(number(tick), x(tick), height - 5); }
  curve(2, colors.cold, [4, 3]);
  curve(1, colors.accent, []);

  function curve(column, color, dash) {
    context.beginPath();
    for (const row of finite) if (Number.isFinite(row[column])) context.lineTo(x(row[0]), y(row[column]));
    context.setLineDash(dash); context.strokeStyle = css(color); context.lineWidth = 1.6; context.lineJoin = "round";
    context.stroke();
    context.setLineDash([]);
  }
}

/** The next number of 1, 2, 5, 10, 20 ... */
function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((n) => n * unit >= value * 0.999) * unit;
}
