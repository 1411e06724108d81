// Reading values off the curves: a line under the pointer, and what each series is there.
for (const svg of document.querySelectorAll("svg.curve")) {
  const [left, right, x0, x1] = svg.dataset.x.split(" ").map(Number);
  const [top, bottom, high, low] = svg.dataset.y.split(" ").map(Number);
  const lines = [...svg.querySelectorAll("path.line")].map((path) => ({
    name: path.dataset.name,
    points: path.getAttribute("d").slice(1).split("L").map((pair) => pair.split(" ").map(Number)),
  }));
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cursor.setAttribute("class", "cursor");
  const box = document.createElement("div");
  box.className = "reads";
  const say = (value) => (svg.dataset.share === "1" ? `${Math.round(100 * value)}%` : String(Number(value.toPrecision(3))));
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect();
    const at = ((event.clientX - frame.left) / frame.width) * svg.viewBox.baseVal.width;
    const nearest = lines.map(({ name, points }) => {
      const point = points.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
      return { name, x: point[0], value: high - ((point[1] - top) / (bottom - top)) * (high - low) };
    });
    const x = nearest[0].x;
    const step = Math.round(x0 + ((x - left) / (right - left)) * (x1 - x0));
    cursor.setAttribute("d", `M${x} ${top}V${bottom}`);
    box.textContent = `step ${step}: ` + nearest.map(({ name, value }) => `${lines.length > 1 ? name + " " : ""}${say(value)}`).join(", ");
    svg.append(cursor);
    svg.after(box);
  });
  svg.addEventListener("pointerleave", () => { cursor.remove(); box.remove(); });
}
