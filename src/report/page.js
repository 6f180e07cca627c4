"use strict";
// Hides the calls that do not hold every word of the search.
const calls = [...document.querySelectorAll("details.call")];
const texts = calls.map(call => call.textContent.toLowerCase());
const search = document.getElementById("search");
const count = document.getElementById("count");
function look() {
  const words = search.value.toLowerCase().split(/\s+/).filter(word => word);
  let shown = 0;
  calls.forEach((call, at) => {
    call.hidden = !words.every(word => texts[at].includes(word));
    shown += call.hidden ? 0 : 1;
  });
  count.textContent = `${shown} of ${calls.length} shown`;
}
search.addEventListener("input", look);
// Enter opens what is found.
search.addEventListener("keydown", event => {
  if (event.key === "Enter") calls.filter(call => !call.hidden).forEach(call => { call.open = true; });
});
// What stands behind # in the address is searched for.
function from_address() {
  search.value = decodeURIComponent(location.hash.slice(1));
  look();
}
window.addEventListener("hashchange", from_address);
from_address();

