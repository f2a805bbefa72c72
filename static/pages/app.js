// Every page; those below static/js/ that a page needs beside are named in its own file here.
import "../js/app.js";
