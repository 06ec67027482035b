// Size of a model in the graph, in its own units.
export const WIDTH = 190;
export const HEIGHT = 26;
