import "../js/app.js";
import "../js/live.js";
import "../js/alerts.js";
