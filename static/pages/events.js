import "../js/app.js";
import "../js/events.js";
