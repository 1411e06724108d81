// Running one part of the lesson.
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Icon } from "../parts/icons.js";
import { say } from "./store.js";

export const Runs = ({ part, running }) => html`<span class="play-run" data-part=${part}>
  <button type="button" class="ib" aria-label=${t("play.reset")} title=${t("play.reset")} onClick=${() => say({ do: "reset", part })}><${Icon} name="again" /></button>
  <button type="button" class="play-go" aria-label=${t(running ? "play.pause" : "play.run")} title=${t(running ? "play.pause" : "play.run")} onClick=${() => say({ do: running ? "pause" : "run", part })}><svg viewBox="0 0 20 20" aria-hidden="true"><path d=${running ? "M6 5h3v10H6zM11 5h3v10h-3z" : "M7 4.500v11l8.500-5.500z"} /></svg></button>
  <button type="button" class="ib" aria-label=${t(part === "habits" ? "percept.some" : "play.step")} title=${t(part === "habits" ? "percept.some" : "play.step")} onClick=${() => say({ do: "step", part })}><svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d="M6 5v10l7-5zM15 5v10" /></svg></button>
</span>`;
