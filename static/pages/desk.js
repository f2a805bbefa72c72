import "../js/app.js";
import "../js/over.js";
import "../js/desk.js";
