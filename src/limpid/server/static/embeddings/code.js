// The Python that prints what each view shows.
import { html } from "../lib/html.js";
import { python } from "../lib/opening.js";
import { CodeButton } from "../parts/code.js";
import { facts, state, table } from "./store.js";

const open = () => `from pathlib import Path
from limpid.stages.load import load_tables

tables = load_tables(Path(${python(facts().run)}))
table = tables.rows["${table()}"]  # (V, D) float32
`;

export const MapCode = ({ points }) => html`<${CodeButton} code=${() => `${open()}
import numpy as np
from limpid.inspection.projection import project

ids = ${JSON.stringify(points.tokens.map((one) => one.id))}
vectors = table[ids]
${state.value.unit ? "vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)\n" : ""}print(project(vectors, "${state.value.method}").points)
`} />`;

const vector = (one) => (one.word !== undefined ? `tables.words("${table()}").vector(${python(one.word)})` : `table[${one.id}]`);

export const NearCode = () => html`<${CodeButton} code=${() => { const { chosen, among } = state.value; return `${open()}${chosen.word !== undefined && among === "words" ? `
print(tables.words("${table()}").neighbours(${python(chosen.word)}, 20))
` : `
from limpid.inspection.token_vectors import nearest_tokens

vector = ${vector(chosen)}
for near in nearest_tokens(table, vector, 21):  # the first is itself
    print(tables.tokenizer.token_bytes(near.token_id), near.cosine)
`}`; }} />`;

export const AnalogyCode = () => html`<${CodeButton} code=${() => { const { a, b, c } = state.value; return `${open()}
print(tables.words("${table()}").analogy(${[a, b, c].map(python).join(", ")}))
`; }} />`;

export const RowsCode = ({ items }) => html`<${CodeButton} code=${() => `${open()}
import numpy as np
from limpid.inspection.token_vectors import cosines

rows = np.stack([
${items.map((one) => `    ${vector(one)},`).join("\n")}
])
print(rows)
print(cosines(rows))
`} />`;

export const PositionsCode = ({ kind, stack, show, places }) => html`<${CodeButton} code=${() => `from pathlib import Path
from limpid.inspection.positions import position_table, rope_similarity, rope_tables, similarity
from limpid.stages.load import load_tables

model = load_tables(Path(${python(facts().run)})).model
${kind === "rotary" ? (show === "cosines" ? `print(rope_similarity(model, ${places}))` : `import numpy as np

cos, sin = rope_tables(model, ${places})
print(${show === "angle" ? "np.arctan2(sin, cos)" : show})`) : `table = position_table(model, ${places}, stack="${stack}")
print(${show === "cosines" ? "similarity(table)" : "table"})`}
`} />`;
