// A conversation is a tree: editing, asking again and forking add children, and nothing is ever overwritten.

/** @typedef {{id: string, parent: string | null, role: string, content: string, created: number, about: any}} Node */

/** Children by parent, in the order they came. @param {Iterable<Node>} nodes @returns {Map<string | null, Node[]>} */
export function families(nodes) {
  const table = new Map();
  for (const node of nodes) (table.get(node.parent) ?? table.set(node.parent, []).get(node.parent)).push(node);
  for (const list of table.values()) list.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
  return table;
}

/** From the root to `id`. @param {Map<string, Node>} nodes */
export function path(nodes, id) {
  const found = [];
  for (let node = nodes.get(id); node && found.length <= nodes.size; node = nodes.get(node.parent)) found.push(node);
  return found.reverse();
}

/** The end of the newest branch below `id` (or `id` itself). @param {Map<string | null, Node[]>} table */
export function tip(table, id) {
  for (let children; (children = table.get(id))?.length; ) id = children.at(-1).id;
  return id;
}
