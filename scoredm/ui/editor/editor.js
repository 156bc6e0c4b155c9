// A small editor of code: Tab indents, Escape and then Tab leaves, Ctrl+Enter checks.

const INDENT = 4

// The text is told to Python once nobody has typed for so long, in milliseconds. Not when the editor is left: what is told between
// the press and the release of a click on a link would make Streamlit forget the click.
const PAUSE = 400

const [FEWEST, MOST] = [3, 14] // lines that are shown

const MARKUP = `
  <label for="code"></label>
  <textarea id="code" wrap="soft" spellcheck="false" autocapitalize="off" autocomplete="off" autocorrect="off"
    aria-describedby="keys"></textarea>
  <div class="below"><button type="button"></button><span class="keys" id="keys"></span></div>
  <div aria-live="polite" class="spoken" style="position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden"></div>`

class Editor {
  constructor(parent) {
    this.root = document.createElement("div")
    this.root.className = "editor"
    this.root.innerHTML = MARKUP
    parent.appendChild(this.root)
    const find = (selector) => this.root.querySelector(selector)
    Object.assign(this, { label: find("label"), area: find("textarea"), button: find("button") })
    Object.assign(this, { keys: find(".keys"), spoken: find(".spoken"), leaving: false })
    this.area.addEventListener("keydown", (event) => this.key(event))
    this.area.addEventListener("input", () => this.typed())
    this.area.addEventListener("blur", () => (this.leaving = false))
    this.button.addEventListener("click", () => this.check())
  }

  /** Take what Python says: its text only where that is another than it gave before, so that typing is never undone. */
  receive({ data, setStateValue, setTriggerValue }) {
    Object.assign(this, { data, setStateValue, setTriggerValue })
    this.label.textContent = data.label
    this.button.textContent = data.button
    this.keys.textContent = data.keys
    this.area.maxLength = data.most
    if (this.revision === data.revision) return
    this.revision = data.revision
    this.area.value = this.told = data.text
    this.fit()
  }

  fit() {
    this.area.rows = Math.min(MOST, Math.max(FEWEST, this.area.value.split("\n").length))
  }

  typed() {
    this.fit()
    clearTimeout(this.waiting)
    this.waiting = setTimeout(() => this.tell(), PAUSE)
  }

  /** What goes to Python: the text, and the exercise that it belongs to. */
  message() {
    this.told = this.area.value
    return { exercise: this.data.exercise, text: this.told }
  }

  tell() {
    if (this.area.value !== this.told) this.setStateValue("text", this.message())
  }

  check() {
    clearTimeout(this.waiting)
    this.setTriggerValue("check", this.message())
  }

  key(event) {
    const leaving = this.leaving
    this.leaving = event.key === "Escape" || (leaving && event.key === "Shift")
    if (event.key === "Escape") this.spoken.textContent = this.data.leave
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.take(event, () => this.check())
    else if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    else if (event.key === "Tab" && !leaving) this.take(event, () => this.indent(event.shiftKey))
    else if (event.key === "Enter") this.take(event, () => this.newLine())
  }

  take(event, act) {
    event.preventDefault()
    event.stopPropagation()
    act()
  }

  newLine() {
    const { value, selectionStart, selectionEnd } = this.area
    const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart)
    this.replace(selectionStart, selectionEnd, `\n${/^ */.exec(line)[0]}`)
  }

  /** Insert spaces up to the next stop; with several lines selected, or backwards, move the lines. */
  indent(backwards) {
    const { value, selectionStart, selectionEnd } = this.area
    const first = value.lastIndexOf("\n", selectionStart - 1) + 1
    const selected = value.slice(first, selectionEnd)
    if (!backwards && !selected.includes("\n")) {
      this.replace(selectionStart, selectionEnd, " ".repeat(INDENT - ((selectionStart - first) % INDENT)))
      return
    }
    const moved = backwards ? selected.replace(/^ {1,4}/gm, "") : selected.replace(/^/gm, " ".repeat(INDENT))
    if (moved === selected) return
    this.replace(first, selectionEnd, moved)
    if (selected.includes("\n")) this.area.setSelectionRange(first, first + moved.length)
  }

  /** Put a text in the place of another, so that Undo takes it back. */
  replace(start, end, text) {
    this.area.setSelectionRange(start, end)
    const done = text ? document.execCommand("insertText", false, text) : document.execCommand("delete")
    if (done) return
    this.area.setRangeText(text, start, end, "end")
    this.typed()
  }

  close() {
    clearTimeout(this.waiting)
    this.root.remove()
  }
}

const editors = new WeakMap()

/** Streamlit calls this when the component appears and whenever its data change. */
export default function mount(component) {
  const { parentElement } = component
  let editor = editors.get(parentElement)
  if (!editor) {
    editor = new Editor(parentElement)
    editors.set(parentElement, editor)
  }
  editor.receive(component)
  return () => {
    editor.close()
    editors.delete(parentElement)
  }
}
