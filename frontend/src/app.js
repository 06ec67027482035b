// What every page runs. Each module looks for its own marks in the page and does nothing where there are none; all of it is
// comfort: without scripts the same pages work with links and forms.

import { keepAges } from "./ages.js";
import { openDialogs } from "./dialogs.js";
import { filterAsTyped } from "./filters.js";
import { followChanges } from "./live.js";
import { keepMenus } from "./menus.js";
import { openOutside } from "./outside.js";
import { helpWithProject } from "./project-form.js";
import { sayOnce } from "./said.js";

document.documentElement.classList.add("scripted");
sayOnce();
openOutside();
keepAges();
keepMenus();
openDialogs();
filterAsTyped();
helpWithProject();
followChanges();
