// Rules for the scripts of the pages, their build and their tests: `npm run lint`.

import js from "@eslint/js";
import globals from "globals";

// Strings come from repositories and warehouses. They are set as text, never as markup.
const noMarkup = ["innerHTML", "outerHTML"].map((name) => ({
  selector: `AssignmentExpression[left.property.name="${name}"]`,
  message: `Text is set as text: what is assigned to ${name} would be taken for markup.`,
}));

export default [
  { ignores: ["node_modules/"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      "default-case-last": "error",
      eqeqeq: "error",
      "no-constructor-return": "error",
      "no-duplicate-imports": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-script-url": "error",
      "no-self-compare": "error",
      "no-template-curly-in-string": "error",
      "no-throw-literal": "error",
      "no-unmodified-loop-condition": "error",
      "no-unreachable-loop": "error",
      "no-unused-expressions": ["error", { allowShortCircuit: true, allowTernary: true }],
      "no-unused-vars": "error",
      "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
      "no-useless-concat": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": ["error", { destructuring: "all" }],
      "prefer-promise-reject-errors": "error",
    },
  },
  {
    files: ["src/**"],
    languageOptions: { globals: globals.browser },
    rules: {
      "no-console": "error",
      "no-restricted-syntax": ["error", ...noMarkup],
      "no-restricted-properties": [
        "error",
        { property: "insertAdjacentHTML", message: "Text is set as text." },
        { object: "document", property: "write", message: "Text is set as text." },
      ],
    },
  },
  { files: ["*.js", "*.mjs"], languageOptions: { globals: globals.node } },
  { files: ["tests/**"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
];
