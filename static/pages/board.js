import "../js/app.js";
import "../js/live.js";
import "../js/over.js";
import "../js/filters.js";
import "../js/board.js";
import "../js/views.js";
