"use strict";
(() => {
  const picture = document.querySelector(".picture");
  const own = document.getElementById("self").getBoundingClientRect();
  const frame = picture.getBoundingClientRect();
  picture.scrollLeft += own.left + own.width / 2 - frame.left - frame.width / 2;
  picture.scrollTop += own.top - frame.top - frame.height / 3;
})();
