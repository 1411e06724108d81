// The map as a drawing: where points stand, which labels have room, what is under the pointer. It knows no page.

/** @typedef {{scale: number, x: number, y: number}} Sight: `x`, `y` of the map in the middle, and pixels a unit. */

const MARGIN = 34;

/** The sight that shows all points. */
export function whole(xs, ys, width, height) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < xs.length; i++) { x0 = Math.min(x0, xs[i]); x1 = Math.max(x1, xs[i]); y0 = Math.min(y0, ys[i]); y1 = Math.max(y1, ys[i]); }
  const scale = Math.min((width - 2 * MARGIN) / (x1 - x0 || 1), (height - 2 * MARGIN) / (y1 - y0 || 1));
  return { scale: Math.max(scale, 1e-9), x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
}

export const toScreen = (sight, width, height, x, y) => [width / 2 + (x - sight.x) * sight.scale, height / 2 - (y - sight.y) * sight.scale];
export const toMap = (sight, width, height, px, py) => [sight.x + (px - width / 2) / sight.scale, sight.y - (py - height / 2) / sight.scale];

/** The point nearest to a place on the screen, within `reach` pixels; -1: none. */
export function hit(screen, px, py, reach = 14) {
  let best = -1, least = reach * reach;
  for (let i = 0; i < screen.length; i += 2) {
    const away = (screen[i] - px) ** 2 + (screen[i + 1] - py) ** 2;
    if (away < least) { least = away; best = i / 2; }
  }
  return best;
}

/** From one point to the next in a direction, for the keyboard: near, and not far to the side. -1: none. */
export function toward(screen, from, dx, dy) {
  let best = -1, least = Infinity;
  for (let i = 0; i < screen.length / 2; i++) {
    const x = screen[2 * i] - screen[2 * from], y = screen[2 * i + 1] - screen[2 * from + 1];
    const along = x * dx + y * dy, aside = Math.abs(x * dy - y * dx);
    if (i === from || along <= 0.5 || aside > 2 * along) continue;
    const cost = along + 2 * aside;
    if (cost < least) { least = cost; best = i; }
  }
  return best;
}

const CELL = 24;
/** Boxes that do not overlap, found again through a grid. */
class Taken {
  constructor() { this.cells = new Map(); }
  cellsOf([x0, y0, x1, y1]) {
    const keys = [];
    for (let cx = Math.floor(x0 / CELL); cx <= Math.floor(x1 / CELL); cx++) for (let cy = Math.floor(y0 / CELL); cy <= Math.floor(y1 / CELL); cy++) keys.push(`${cx},${cy}`);
    return keys;
  }
  isFree(box) {
    return this.cellsOf(box).every((key) => (this.cells.get(key) ?? []).every((other) => box[2] <= other[0] || box[0] >= other[2] || box[3] <= other[1] || box[1] >= other[3]));
  }
  add(box) { for (const key of this.cellsOf(box)) (this.cells.get(key) ?? this.cells.set(key, []).get(key)).push(box); }
}

/**
 * Labels that have room, the first in `order` first; each right of its point, else left, above or below.
 * @param {number[]} order @param {(i: number) => number} widthOf @returns {{at: number, x: number, y: number, box: number[]}[]}
 */
export function placeLabels(screen, order, widthOf, width, height, size = 13, most = 260) {
  const taken = new Taken(), placed = [];
  for (const at of order) {
    if (placed.length >= most) break;
    const x = screen[2 * at], y = screen[2 * at + 1];
    if (x < 0 || y < 0 || x > width || y > height) continue;
    const wide = widthOf(at), tall = size + 2;
    for (const [bx, by] of [[x + 5, y - tall / 2], [x - 5 - wide, y - tall / 2], [x - wide / 2, y - tall - 4], [x - wide / 2, y + 4]]) {
      const box = [bx, by, bx + wide, by + tall];
      if (bx < 2 || by < 2 || box[2] > width - 2 || box[3] > height - 2 || !taken.isFree(box)) continue;
      taken.add(box);
      placed.push({ at, x: bx, y: by + tall - 4, box });
      break;
    }
  }
  return placed;
}
