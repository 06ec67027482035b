// What every page runs. Each module looks for its own marks in the page and does nothing where there are none; all of it is
// comfort: without scripts the same pages work with links and forms.

import { keepAges } from "./ages.js";
import { openOutside } from "./outside.js";

openOutside();
keepAges();
