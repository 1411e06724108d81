// How wide a box is, as long as it is there.
import { useEffect, useRef, useState } from "preact/hooks";

/** [a ref for the box, its inner width in CSS pixels; `first` until it is known]. */
export function useWidth(first) {
  const box = useRef(null), [width, setWidth] = useState(first);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, width];
}
