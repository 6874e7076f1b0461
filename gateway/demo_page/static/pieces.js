/** Finding and making what stands on the page. */

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** A new element. Text is always text, never markup: what a model says cannot become part of the page. */
export function made(tag, { className = "", text = "", children = [] } = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

const NEAR_PX = 48;

/** Adds to a list that scrolls. Who reads its end goes on seeing its end; who has scrolled up is left there. */
export function keepingTheEnd(list, act) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;
  act();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

export const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
