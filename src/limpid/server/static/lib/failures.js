// What a reader is told of what went wrong.
import { t } from "./i18n.js";

/** @param {import("./api.js").Failure} failure */
export const said = (failure) => failure.message || t("noServer");
