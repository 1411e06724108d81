// A window on a large drawing: the browser scrolls, one canvas of the window's size is drawn. It draws again whenever a
// signal that its drawing read changes, or its size, or where it is scrolled to.
import { useEffect, useRef } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { html } from "../lib/html.js";

/** @typedef {{context: CanvasRenderingContext2D, width: number, height: number, left: number, top: number, box: HTMLElement, canvas: HTMLCanvasElement}} Window `left`, `top`: how far it is scrolled */

/**
 * @param {{
 *   extent: (width: number, height: number) => [number, number],
 *   draw: (window: Window) => void,
 *   onPoint?: (x: number, y: number, event: PointerEvent) => void, onLeave?: () => void,
 *   onPick?: (x: number, y: number, event: MouseEvent) => void, onKey?: (event: KeyboardEvent) => void,
 *   label: string, deps?: any[], class?: string, canvas?: any, rest?: any
 * }} props extent: the drawing's size for a window's; what is larger scrolls. x, y: in the drawing, scrolled with it
 */
export function Viewport({ extent, draw, onPoint, onLeave, onPick, onKey, label, deps = [], class: more = "", canvas: outer, ...rest }) {
  const box = useRef(null), inner = useRef(null), canvas = outer ?? inner, size = useRef(null), scrolled = useRef(null), space = useRef(null);
  size.current ??= signal([0, 0]);
  scrolled.current ??= signal([0, 0]);
  useEffect(() => {
    const own = box.current;
    const look = () => { const [w, h] = size.current.peek(), { clientWidth, clientHeight } = own; if (w !== clientWidth || h !== clientHeight) size.current.value = [clientWidth, clientHeight]; };
    const watch = new ResizeObserver(look);
    watch.observe(own);
    look();
    return () => watch.disconnect();
  }, []);
  useEffect(() => effect(() => {
    const [width, height] = size.current.value, element = canvas.current;
    if (!width || !element) return;
    const [wide, high] = extent(width, height);
    space.current.style.width = `${Math.max(wide, 1)}px`;
    space.current.style.height = `${Math.max(high, 1)}px`;
    scrolled.current.value; // told by the scroll event; the truth is the box's own
    const ratio = devicePixelRatio || 1, pixels = [Math.round(Math.min(width, Math.max(wide, 1)) * ratio), Math.round(Math.min(height, Math.max(high, 1)) * ratio)];
    if (element.width !== pixels[0] || element.height !== pixels[1]) { [element.width, element.height] = pixels; element.style.width = `${pixels[0] / ratio}px`; element.style.height = `${pixels[1] / ratio}px`; }
    const context = element.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    draw({ context, width: pixels[0] / ratio, height: pixels[1] / ratio, left: box.current.scrollLeft, top: box.current.scrollTop, box: box.current, canvas: element });
  }), deps);
  const place = (event, then) => {
    if (!then) return;
    const frame = canvas.current.getBoundingClientRect();
    then(event.clientX - frame.left + box.current.scrollLeft, event.clientY - frame.top + box.current.scrollTop, event);
  };
  return html`<div ref=${box} class=${`viewport ${more}`} onScroll=${() => { scrolled.current.value = [box.current.scrollLeft, box.current.scrollTop]; }}>
    <div ref=${space} class="viewport-space"><canvas ref=${canvas} tabindex="0" role="application" aria-label=${label}
      onPointerMove=${(event) => place(event, onPoint)} onPointerLeave=${() => onLeave?.()} onClick=${(event) => place(event, onPick)} onKeyDown=${(event) => onKey?.(event)} ...${rest}></canvas></div>
  </div>`;
}

/** Scroll a box so that the span from `first` to `last` of one direction is seen. */
export function reveal(box, first, last, direction = "top", before = 0) {
  const [key, size] = direction === "top" ? ["scrollTop", box.clientHeight] : ["scrollLeft", box.clientWidth];
  if (first - before < box[key]) box[key] = first - before;
  else if (last > box[key] + size) box[key] = last - size;
}
