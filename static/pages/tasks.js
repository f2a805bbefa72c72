import "../js/app.js";
import "../js/over.js";
import "../js/tasks.js";
