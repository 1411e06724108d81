// The app: it mounts the shell, and the shell shows the page that the address names.
import { render } from "preact";
import { html } from "./lib/html.js";
import { Shell } from "./parts/shell.js";
import { watchPreferences } from "./lib/preferences.js";
import { loadServer } from "./lib/server.js";

watchPreferences();
render(html`<${Shell} />`, document.getElementById("app"));
loadServer();
