import "../js/app.js";
import "../js/live.js";
import "../js/over.js";
import "../js/tasks.js";
