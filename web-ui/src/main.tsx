// The dashboard's beginning.

import { render } from "preact";
import { App } from "./app";
import "./ui/theme.css";
import "./ui/base.css";
import "./ui/table.css";
import "./session/session.css";
import "./networks/networks.css";
import "./nodes/nodes.css";
import "./servers/servers.css";
import "./pairs/pairs.css";
import "./pairs/what-if.css";

const root = document.getElementById("app");
if (root) render(<App />, root);
