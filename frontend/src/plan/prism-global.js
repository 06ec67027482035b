// Its grammars expect it as a global.
import "./prism-manual.js";
import Prism from "prismjs/components/prism-core.js";

window.Prism = Prism;
export default Prism;
