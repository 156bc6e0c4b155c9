// The minutes of a stop, counted down in the browser: no rerun, and it goes on while the reader looks at other pages.

const TICK = 500; // milliseconds

/** Seconds as minutes and seconds, such as 9:05. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** The phase that runs after so many seconds, and what is left of it; after the last, how long all has been over. */
export function phase(phases, elapsed) {
  let left = elapsed;
  for (const { label, seconds } of phases) {
    if (left < seconds) return { label, left: seconds - left, over: 0 };
    left -= seconds;
  }
  return { label: "", left: 0, over: left };
}

/** What the timer says. */
export function words(phases, elapsed, labels) {
  const now = phase(phases, elapsed);
  if (now.over > 0 || !now.left) return labels.over.replace("{time}", clock(now.over));
  return (now.label ? labels.phase : labels.left).replace("{phase}", now.label).replace("{time}", clock(now.left));
}

/** What is kept of a stop's timer: seconds that have run before, and since when it runs, or null where it stands. */
function kept(stop) {
  try {
    return JSON.parse(sessionStorage.getItem(`scoredm-timer-${stop}`));
  } catch {
    return null;
  }
}

function keep(stop, state) {
  try {
    sessionStorage.setItem(`scoredm-timer-${stop}`, JSON.stringify(state));
  } catch {
    // a browser that keeps nothing: the timer starts again on the next page
  }
}

export default function ({ data, parentElement }) {
  const { stop, phases, labels } = data.view;
  clearInterval(parentElement.scoredmTimer);
  let state = kept(stop) ?? { before: 0, since: Date.now() };
  keep(stop, state);

  const elapsed = () => state.before + (state.since === null ? 0 : (Date.now() - state.since) / 1000);
  const root = parentElement.querySelector(".timer");
  const [shown, pause, again] = ["output", ".pause", ".again"].map((part) => root.querySelector(part));

  function draw() {
    shown.textContent = words(phases, elapsed(), labels);
    root.classList.toggle("over", phase(phases, elapsed()).over > 0);
    pause.textContent = state.since === null ? "▶" : "❚❚";
    for (const [button, text] of [[pause, state.since === null ? labels.resume : labels.pause], [again, labels.again]]) {
      button.title = text;
      button.setAttribute("aria-label", text);
    }
  }

  function change(next) {
    state = next;
    keep(stop, state);
    draw();
  }

  pause.onclick = () =>
    change(state.since === null ? { before: state.before, since: Date.now() } : { before: elapsed(), since: null });
  again.onclick = () => change({ before: 0, since: Date.now() });
  shown.setAttribute("aria-label", labels.name);
  draw();
  parentElement.scoredmTimer = setInterval(draw, TICK);
  return () => clearInterval(parentElement.scoredmTimer);
}
