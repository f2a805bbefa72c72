import "../js/app.js";
import "../js/over.js";
import "../js/live.js";
