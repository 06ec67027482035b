// Places the models of a graph, away from the page: it takes a moment, and the page must answer meanwhile.
// Gets { id, count, edges } with edges as a flat list of pairs; answers { id, x, y }.

import dagre from "@dagrejs/dagre";
import { HEIGHT, WIDTH } from "./plan/sizes.js";

self.onmessage = ({ data }) => {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 12, ranksep: 70, ranker: "tight-tree" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (let at = 0; at < data.count; at++) graph.setNode(String(at), { width: WIDTH, height: HEIGHT });
  for (let at = 0; at < data.edges.length; at += 2) graph.setEdge(String(data.edges[at]), String(data.edges[at + 1]));
  dagre.layout(graph);
  const places = Array.from({ length: data.count }, (_, at) => graph.node(String(at)));
  self.postMessage({ id: data.id, x: places.map((place) => place.x), y: places.map((place) => place.y) });
};
