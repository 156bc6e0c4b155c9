// Tells Python when the page has changed between light and dark since its pictures were drawn.

const watchers = new WeakMap()

const shown = (app) => getComputedStyle(app).colorScheme

export default function mount({ data, parentElement, setStateValue }) {
  const app = document.querySelector(".stApp")
  const before = watchers.get(parentElement)
  before?.observer.disconnect()
  let asked = before?.asked ?? null // once for each change: an answer may be under way
  const compare = () => {
    const mode = shown(app)
    if (mode === (asked ?? data.mode)) return
    asked = mode
    watchers.set(parentElement, { observer, asked })
    setStateValue("mode", mode)
  }
  const observer = new MutationObserver(compare) // a theme is a class of the app
  observer.observe(app, { attributeFilter: ["class"] })
  watchers.set(parentElement, { observer, asked })
  compare()
  return () => observer.disconnect()
}
