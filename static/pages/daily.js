import "../js/app.js";
import "../js/live.js";
import "../js/forms.js";
import "../js/over.js";
import "../js/filters.js";
import "../js/list.js";
import "../js/many.js";
import "../js/views.js";
