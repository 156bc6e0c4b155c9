// The stage itself: its buttons, keys and clicks, what plays, and what Python and the reader tell it.

import {
  advance,
  barPlace,
  carryOver,
  clamp,
  edgeMarker,
  fillIn,
  isFalling,
  pictureHeight,
  project,
  rampStops,
  readFrames,
  roundText,
  timeText,
  unproject,
} from "./arithmetic.js"
import { createPainter, imageOf, readTheme, sameTheme } from "./drawing.js"
import { foreseen } from "./mixture.js"

const SPEEDS = [0.25, 0.5, 1, 2, 4]

// A pointer that moves further than this between down and up, in pixels, drags and does not click.
const CLICK_REACH = 6

const icon = (name, path) => `<svg class="${name}" viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`

const speedOption = (speed) => `<option value="${speed}"${speed === 1 ? " selected" : ""}>${speed}×</option>`

const MARKUP = `
  <canvas role="img"></canvas>
  <div class="under">
    <div class="strip"></div>
    <div class="marks"></div>
    <div class="keys">
      <span class="key arrow-key"><i aria-hidden="true"></i><span></span></span>
      <span class="key probe-key"><i aria-hidden="true"></i><span></span></span>
      <span class="outside"></span>
    </div>
  </div>
  <div class="transport" role="group">
    <button type="button" class="left-button">${icon("step", "M4 2h2v12H4zM13 2v12L6.5 8z")}</button>
    <button type="button" class="play-button">
      ${icon("play", "M3.5 1.5v13L14 8z")}${icon("pause", "M3 2h3.6v12H3zM9.4 2H13v12H9.4z")}</button>
    <button type="button" class="right-button">${icon("step", "M10 2h2v12h-2zM3 2v12l6.5-6z")}</button>
    <div class="bar"><span class="data-end" aria-hidden="true"></span>
      <input type="range" min="0" step="any">
      <span class="noise-end" aria-hidden="true"></span></div>
    <span class="clock"></span>
    <select>${SPEEDS.map(speedOption).join("")}</select>
    <button type="button" class="loop-button" aria-pressed="false">
      ${icon("loop", "M4 4h7V1.8L15 5l-4 3.2V6H5v3H3V5a1 1 0 0 1 1-1zM12 12H5v2.2L1 11l4-3.2V10h6V7h2v4a1 1 0 0 1-1 1z")}</button>
  </div>
  <div class="spoken" aria-live="polite"></div>`

const prefersStillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches

/** Set the text of an element, which costs nothing where it is the same already. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** Name a control for those who hear it (`aria-label`) and for those who point at it (`title`). */
function setName(element, name, title = name) {
  element.setAttribute("aria-label", name)
  element.title = title
}

// Every stage on the page: those of one group play together.
const present = new Set()

/** The values of the page's sliders, by their names in a link; the given one where there is no such slider. */
function sliderValues(given) {
  const read = (name) => document.querySelector(`.st-key-${name} input[type="range"]`)?.value ?? given[name]
  return Object.fromEntries(Object.keys(given).map((name) => [name, Number(read(name))]))
}

// A slider of Streamlit's changes its attribute while it is dragged, long before it tells the server.
const watcher = new MutationObserver(() => present.forEach((stage) => stage.slid()))
watcher.observe(document.documentElement, { subtree: true, attributeFilter: ["value"] })

class Stage {
  constructor(parent) {
    this.root = document.createElement("div")
    this.root.className = "stage"
    this.root.innerHTML = MARKUP
    parent.appendChild(this.root)
    const find = (selector) => this.root.querySelector(selector)
    this.canvas = find("canvas")
    this.under = find(".under")
    this.strip = find(".strip")
    this.marks = find(".marks")
    this.arrowKey = find(".arrow-key")
    this.probeKey = find(".probe-key")
    this.outside = find(".outside")
    this.transport = find(".transport")
    this.leftButton = find(".left-button")
    this.playButton = find(".play-button")
    this.rightButton = find(".right-button")
    this.dataEnd = find(".data-end")
    this.bar = find("input")
    this.noiseEnd = find(".noise-end")
    this.clock = find(".clock")
    this.speed = find("select")
    this.loopButton = find(".loop-button")
    this.spoken = find(".spoken")
    this.painter = createPainter(this.canvas)
    Object.assign(this, { position: 0, playing: false, loop: false, drawn: 0, request: 0, slideRequest: 0, foreseeing: false })
    Object.assign(this, { probe: null, probeArrows: [], theme: null })
    this.listen()
    this.observer = new ResizeObserver(() => this.resize())
    this.observer.observe(this.root)
    present.add(this)
  }

  listen() {
    this.leftButton.addEventListener("click", () => this.stepBar(-1))
    this.rightButton.addEventListener("click", () => this.stepBar(1))
    this.playButton.addEventListener("click", () => this.toggle())
    this.loopButton.addEventListener("click", () => {
      this.loop = !this.loop
      this.loopButton.setAttribute("aria-pressed", String(this.loop))
    })
    this.bar.addEventListener("input", () => {
      this.pause()
      this.moveTo(barPlace(Number(this.bar.value), this.last, this.falling))
    })
    this.bar.addEventListener("change", () => this.rest())
    this.root.addEventListener("keydown", (event) => this.key(event))
    this.canvas.addEventListener("pointerdown", (event) => (this.pressed = [event.clientX, event.clientY]))
    this.canvas.addEventListener("pointerup", (event) => this.click(event))
  }

  get last() {
    return this.frames.count - 1
  }

  get falling() {
    return isFalling(this.frames.times)
  }

  /** Take the data of a run: the first sets the stage, later ones keep the place and whether it plays. */
  receive({ data, setStateValue }) {
    const before = this.frames
    this.setStateValue = setStateValue
    this.options = data.view
    const fresh = data !== this.data
    if (fresh) Object.assign(this, { data, given: readFrames(data) })
    this.foresee()
    if (fresh) {
      if (before) this.position = carryOver(before.times, this.position, this.frames.times)
      else this.open()
      if (!this.playing) this.position = Math.round(this.position)
    }
    if (!this.options.probe) this.probe = null
    else if (this.options.probeAt) this.probe = this.options.probeAt
    this.probeArrows = this.options.probeArrows
    this.canvas.classList.toggle("probing", this.options.probe)
    this.transport.hidden = this.frames.count < 2 || !this.options.controls
    this.transport.classList.toggle("towards-data", this.falling)
    this.bar.max = String(this.last)
    if (this.last === 0) this.playing = false
    this.canvas.tabIndex = this.last > 0 ? 0 : -1 // a still picture has no keys
    this.nameControls()
    this.resize()
    this.showPlaying()
  }

  /** Show what the sliders of the page say, which Python may not have computed yet; whether that has changed. */
  foresee() {
    const { sliding, components } = this.options
    const values = sliding && sliderValues(sliding.values)
    const before = this.frames
    this.foreseeing = Boolean(sliding) && Object.keys(values).some((name) => values[name] !== sliding.values[name])
    this.frames = this.foreseeing ? foreseen(this.given, sliding, values, components.length) : this.given
    return this.frames !== before
  }

  /** A slider of the page has moved: the next picture follows it. */
  slid() {
    if (!this.options?.sliding || this.slideRequest) return
    this.slideRequest = requestAnimationFrame(() => {
      this.slideRequest = 0
      if (this.foresee()) this.draw()
    })
  }

  open() {
    this.playing = this.options.autoplay && this.last > 0 && !prefersStillness()
    this.position = !this.playing && this.options.start === "last" ? this.last : 0
  }

  nameControls() {
    const { labels } = this.options
    this.transport.setAttribute("aria-label", labels.playback)
    this.bar.setAttribute("aria-label", labels.time)
    setName(this.leftButton, labels.towardsData, labels.towardsDataKey)
    setName(this.rightButton, labels.towardsNoise, labels.towardsNoiseKey)
    setName(this.speed, labels.speed)
    setName(this.loopButton, labels.repeat)
    setText(this.dataEnd, labels.data)
    setText(this.noiseEnd, labels.noise)
  }

  resize() {
    if (!this.frames || this.root.clientWidth === 0) return
    this.ratio = window.devicePixelRatio || 1
    this.width = this.root.clientWidth
    this.height = pictureHeight(this.width, this.options.height, window.innerHeight)
    const [width, height] = [Math.round(this.width * this.ratio), Math.round(this.height * this.ratio)]
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height })
    this.canvas.style.height = `${this.height}px`
    const theme = readTheme(this.root, this.options.errors)
    if (!sameTheme(this.theme, theme)) this.theme = theme
    this.root.style.colorScheme = this.theme.dark ? "dark" : "light"
    this.thickness = this.width >= 900 ? 1.25 : 1
    this.size = clamp(0.85 * this.theme.size * (this.width >= 900 ? 1.15 : 1), 11, 24)
    this.draw()
    this.showImageScale()
    this.run()
  }

  /** What a painter needs to know. */
  scene() {
    const { frames, options, theme, width, height, size, thickness, ratio, position, probe } = this
    const probeArrows = this.foreseeing ? [] : this.probeArrows // Python computes them
    return { frames, options, theme, width, height, size, thickness, ratio, position, probe, probeArrows }
  }

  draw() {
    this.view = this.painter.paint(this.scene())
    this.drawn += 1
    const nearest = Math.round(this.position)
    this.bar.value = String(barPlace(this.position, this.last, this.falling))
    const moment = { t: timeText(this.frames.times[nearest]), frame: nearest + 1, count: this.frames.count }
    setText(this.clock, fillIn(this.options.labels.clock, moment))
    this.moment = fillIn(this.options.labels.moment, moment)
    this.bar.setAttribute("aria-valuetext", this.moment)
    Object.assign(this.canvas.dataset, { frame: String(nearest), drawn: String(this.drawn), playing: String(this.playing) })
    this.canvas.dataset.window = this.view.window.map((edge) => Number(edge.toPrecision(6))).join(" ")
    this.showOutside()
    this.describe()
    this.showArrowScales(nearest)
  }

  /** Under the plane a strip of the image's colours, and what its marked levels mean. */
  showImageScale() {
    const { marks } = this.options
    this.strip.hidden = this.marks.hidden = !imageOf(this.frames) || marks.length === 0
    const { left, width } = this.view.box
    Object.assign(this.under.style, { marginLeft: `${left}px`, width: `${width}px` })
    if (this.strip.hidden) return
    this.strip.style.backgroundImage = `linear-gradient(to right, ${rampStops(this.theme.ramps[imageOf(this.frames).kind])})`
    this.marks.replaceChildren(
      ...marks.map(([level, text]) => {
        const mark = document.createElement("span")
        mark.textContent = text
        Object.assign(mark.style, { left: `${100 * level}%`, transform: `translateX(${-100 * level}%)` })
        return mark
      }),
    )
  }

  /** Under the plane a reference arrow for the field of arrows at this frame, and one for the probe's arrows. */
  showArrowScales(frame) {
    const { arrowScales, probeScale } = this.options
    for (const key of [this.arrowKey, this.probeKey]) key.style.visibility = this.foreseeing ? "hidden" : ""
    if (this.foreseeing) return // Python computes what an arrow's length means; the key keeps its place, so that nothing moves
    this.showKey(this.arrowKey, this.frames.arrows ? (arrowScales[frame] ?? arrowScales[0]) : null)
    this.showKey(this.probeKey, this.probe && !this.outside.textContent ? probeScale : null)
  }

  showKey(key, scale) {
    key.hidden = !scale
    if (!scale) return
    const [arrow, text] = key.children
    const length = `${(scale.length * this.view.box.width).toFixed(1)}px`
    if (arrow.style.width !== length) arrow.style.width = length
    setText(text, scale.text)
  }

  /** Say when the probe is outside the plane. */
  showOutside() {
    const isOutside = this.probe !== null && edgeMarker(this.view.box, ...project(this.view, ...this.probe), 0) !== null
    setText(this.outside, isOutside ? this.options.labels.outside : "")
  }

  /** Tell those who do not see the picture what it shows now; while it plays, only what does not change. */
  describe() {
    const parts = [this.options.alt, this.outside.textContent]
    if (!this.playing) parts.push(this.last > 0 ? this.moment : "", this.edges())
    const text = parts.filter(Boolean).map((part) => (/[.!?]$/.test(part) ? part : `${part}.`)).join(" ")
    if (this.canvas.getAttribute("aria-label") !== text) this.canvas.setAttribute("aria-label", text)
  }

  /** From where to where the axes go. */
  edges() {
    const { labels, xLabel: x, yLabel: y } = this.options
    const [left, right, bottom, top] = this.view.window.map(roundText)
    return fillIn(labels.edges, { x, y, left, right, bottom, top })
  }

  showPlaying() {
    const { labels } = this.options
    this.playButton.classList.toggle("playing", this.playing)
    if (this.playing) setName(this.playButton, labels.pause, labels.pauseKey)
    else setName(this.playButton, labels.play, labels.playKey)
    this.canvas.dataset.playing = String(this.playing)
    if (!this.playing) this.speak()
  }

  /** Say where we are, once nothing has moved for a moment. */
  speak() {
    clearTimeout(this.speaking)
    this.speaking = setTimeout(() => {
      if (!this.playing && this.last > 0) this.spoken.textContent = this.moment
    }, 400)
  }

  run() {
    if (this.request || !this.playing) return
    this.lastTick = null
    this.request = requestAnimationFrame((now) => this.tick(now))
  }

  tick(now) {
    this.request = 0
    if (!this.playing) return
    const elapsed = this.lastTick === null ? 0 : clamp((now - this.lastTick) / 1000, 0, 0.1)
    this.lastTick = now
    const { position, ended } = advance(this.position, this.last, elapsed, Number(this.speed.value), this.loop)
    this.position = position
    this.draw()
    this.lead()
    if (ended) this.pause()
    else this.request = requestAnimationFrame((time) => this.tick(time))
  }

  play() {
    if (this.last === 0) return
    if (this.position >= this.last) this.position = 0
    this.playing = true
    this.showPlaying()
    this.lead()
    this.run()
  }

  pause() {
    if (!this.playing) return
    this.playing = false
    this.rest()
    this.showPlaying()
  }

  toggle() {
    if (this.playing) this.pause()
    else this.play()
  }

  moveTo(position) {
    this.position = clamp(position, 0, this.last)
    this.draw()
    this.lead()
    this.speak()
  }

  /** Take the others of the group along. */
  lead() {
    const { group } = this.options
    if (group) for (const other of present) if (other !== this && other.options?.group === group) other.follow(this)
  }

  /** Stand where another stage of the group stands; that one keeps the time. */
  follow(leader) {
    cancelAnimationFrame(this.request)
    this.request = 0
    const turned = this.playing !== leader.playing
    this.playing = leader.playing
    this.position = Math.min(leader.position, this.last)
    this.draw()
    if (turned) this.showPlaying()
  }

  /** Rest on a frame, so that what stands still is what Python computed. */
  rest() {
    this.moveTo(Math.round(this.position))
  }

  /** One frame along the bar, whichever way time runs. */
  stepBar(by) {
    this.pause()
    this.moveTo(Math.round(this.position) + (this.falling ? -by : by))
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === this.speed || this.last === 0) return
    if (event.key === " " && event.target.tagName === "BUTTON") return
    const edge = (place) => {
      this.pause()
      this.moveTo(barPlace(place, this.last, this.falling))
    }
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.stepBar(-1),
      ArrowRight: () => this.stepBar(1),
      Home: () => edge(0),
      End: () => edge(this.last),
    }
    if (!actions[event.key]) return
    event.preventDefault()
    event.stopPropagation()
    actions[event.key]()
  }

  /** Move the probe to where the reader clicked, and tell Python. */
  click(event) {
    const [x, y] = this.pressed ?? [Infinity, Infinity]
    this.pressed = null
    if (!this.options.probe || Math.hypot(event.clientX - x, event.clientY - y) > CLICK_REACH) return
    const canvas = this.canvas.getBoundingClientRect()
    const place = [event.clientX - canvas.left, event.clientY - canvas.top]
    if (edgeMarker(this.view.box, ...place, 0) !== null) return
    this.probe = unproject(this.view, ...place)
    this.probeArrows = [] // those shown belong to the last point; Python sends the new ones
    this.draw()
    this.setStateValue("probe", this.probe)
  }

  close() {
    cancelAnimationFrame(this.request)
    cancelAnimationFrame(this.slideRequest)
    clearTimeout(this.speaking)
    this.observer.disconnect()
    present.delete(this)
    this.root.remove()
  }
}

const stages = new WeakMap()

/** Streamlit calls this when the component appears and whenever its data change. */
export function mount(component) {
  const { parentElement } = component
  let stage = stages.get(parentElement)
  if (!stage) {
    stage = new Stage(parentElement)
    stages.set(parentElement, stage)
  }
  stage.receive(component)
  return () => {
    stage.close()
    stages.delete(parentElement)
  }
}
