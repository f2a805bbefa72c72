import "../js/app.js";
import "../js/alerts.js";
