// What the stage draws on its canvas: the image, particles, trails, ellipses, arrows, the probe, axes and the margin.

import {
  MISSING,
  QUANTA,
  between,
  clamp,
  colourRamp,
  dequantise,
  dotRadius,
  edgeMarker,
  fitBox,
  histogram,
  lerp,
  niceTicks,
  project,
  projection,
  rowBetween,
  stampPixels,
  tickText,
  visiblePixels,
  windowAt,
} from "./arithmetic.js"
import { densityLevels } from "./mixture.js"

// ---------------------------------------------------------------- theme

/** The red, green and blue of any CSS colour. */
function rgb(context, colour) {
  context.fillStyle = "#000"
  context.fillStyle = colour
  const text = context.fillStyle
  if (text.startsWith("#")) return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16))
  return text.match(/[\d.]+/g).slice(0, 3).map(Number)
}

const luminance = ([r, g, b]) => (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255

/** The colours and the font of an element of the page, and the ramps for images there; `errors` are the colours of errors. */
export function readTheme(element, errors) {
  const context = new OffscreenCanvas(1, 1).getContext("2d")
  const style = getComputedStyle(element)
  const named = (name, fallback) => style.getPropertyValue(name).trim() || fallback
  const paper = named("--st-background-color", "#ffffff")
  const paperRgb = rgb(context, paper)
  const dark = luminance(paperRgb) < 0.5
  return {
    dark,
    paper,
    ink: named("--st-text-color", dark ? "#f2f4f7" : "#1b1f24"),
    font: style.fontFamily || "sans-serif",
    size: parseFloat(style.fontSize) || 16,
    ramps: {
      density: colourRamp([paperRgb, ...(dark ? [[55, 67, 82], [92, 108, 128]] : [[205, 214, 223], [142, 157, 173]])]),
      error: colourRamp([paperRgb, ...errors[dark ? "dark" : "light"].map((colour) => rgb(context, colour))]),
    },
  }
}

/** Whether two themes look the same. */
export const sameTheme = (a, b) => a && a.paper === b.paper && a.ink === b.ink && a.font === b.font && a.size === b.size

// ---------------------------------------------------------------- layout

/** The numbers along an axis of a window and the step between them; along x they are wide, along y they are not high. */
const ticksX = ([x0, x1], width, size) => niceTicks(x0, x1, width / (size * 5))
const ticksY = ([, , y0, y1], height, size) => niceTicks(y0, y1, height / (size * 3.5))

/** The width of the widest number beside the vertical axis, over all frames so that the plane stands still while it plays. */
function widestNumber({ context, frames, theme, size, height, cache }) {
  const kept = cache.widest
  if (kept?.frames === frames && kept.theme === theme && kept.size === size && kept.height === height) return kept.number
  context.font = `${size}px ${theme.font}`
  const widths = frames.times.map((_, frame) => {
    const { ticks, step } = ticksY(frames.edges.map((edge) => edge[frame]), height, size)
    return Math.max(0, ...ticks.map((tick) => context.measureText(tickText(tick, step)).width))
  })
  cache.widest = { frames, theme, size, height, number: Math.max(...widths) }
  return cache.widest.number
}

/** Room for the numbers and the name of the vertical axis. */
const axisRoom = (scene) => Math.max(scene.size * (scene.width < 480 ? 3.1 : 3.9), widestNumber(scene) + scene.size * 1.5 + 7)

/** Where the plane stands in the picture and, where there is a margin, the panel beside it. */
function plotBox(scene) {
  const { width, height, size } = scene
  const { margin } = scene.frames
  const panel = margin ? clamp(width * 0.2, 64, 190) : 0
  const left = axisRoom(scene)
  const top = size * 0.6
  const right = size * 0.8 + (margin ? panel + size * 0.8 : 0)
  const bottom = size * 3.2
  const [x, y] = [Math.round(left), Math.round(top)]
  const box = { left: x, top: y, width: Math.round(width - right) - x, height: Math.round(height - bottom) - y }
  return { box, panel: margin && { left: x + box.width + size * 0.8, top: y, width: panel, height: box.height } }
}

/** Draw with everything outside a box cut off. */
function clip(context, box, draw) {
  context.save()
  context.beginPath()
  context.rect(box.left, box.top, box.width, box.height)
  context.clip()
  draw()
  context.restore()
}

// ---------------------------------------------------------------- image

/** What is drawn under everything else: a density by its components, or Python's image. */
export const imageOf = (frames) => frames.density ?? frames.image

// Digits to which the numbers of two densities that look the same agree: Python and the browser round otherwise.
const SAME_DIGITS = 9

/** The levels of Python's image between two frames, row 0 at the lower edge. */
function imageLevels({ count, width, height, levels }, { first, second, fraction }) {
  const size = width * height
  if (count === 1) return levels
  return Uint8Array.from({ length: size }, (_, i) => Math.round(lerp(levels[first * size + i], levels[second * size + i], fraction)))
}

/** What p_t between two frames is drawn from: {alpha, sigma, window} and the density's components and scale. */
function densityAt(frames, at) {
  const { density } = frames
  const [alpha, sigma] = [density.alpha, density.sigma].map((scale) => lerp(scale[at.first], scale[at.second], at.fraction))
  return { density, alpha, sigma, window: windowAt(frames, at) }
}

/** A text that is the same for two densities that look the same, such as one drawn ahead and Python's after it. */
const densityName = ({ density, alpha, sigma, window }) =>
  JSON.stringify([{ ...density, alpha, sigma }, window], (_, value) => {
    if (typeof value === "number") return Number(value.toPrecision(SAME_DIGITS))
    return ArrayBuffer.isView(value) ? Array.from(value) : value
  })

/** The image between two frames as a small canvas. */
function imageTile(scene, at) {
  const { frames, theme } = scene
  const image = imageOf(frames)
  const ramp = theme.ramps[image.kind]
  const shown = frames.density && densityAt(frames, at)
  const name = shown ? densityName(shown) : image.count === 1 ? 0 : at.first + at.fraction
  const kept = scene.cache.tile
  if (kept?.name === name && kept.ramp === ramp && (shown || kept.image === image)) return kept.canvas
  const canvas = kept?.canvas ?? new OffscreenCanvas(1, 1)
  Object.assign(canvas, { width: image.width, height: image.height })
  const levels = shown ? densityLevels(shown.density, shown.alpha, shown.sigma, shown.window, shown.density) : imageLevels(image, at)
  paintLevels(canvas.getContext("2d", { willReadFrequently: true }), levels, image, ramp)
  scene.cache.tile = { name, ramp, image, canvas }
  return canvas
}

/** Fill a canvas with the colours of levels, row 0 at the lower edge. */
function paintLevels(context, levels, { width, height }, ramp) {
  const pixels = context.createImageData(width, height)
  const words = new Uint32Array(pixels.data.buffer)
  const colours = Uint32Array.from({ length: 256 }, (_, level) => opaque(ramp.slice(3 * level, 3 * level + 3)))
  for (let row = 0, cell = 0; row < height; row++) {
    for (let word = (height - 1 - row) * width, end = word + width; word < end; word++, cell++) words[word] = colours[levels[cell]]
  }
  context.putImageData(pixels, 0, 0)
}

/** Red, green and blue as one word of a picture's pixels, which have their bytes in the order of the machine. */
const opaque = (rgb) => new Uint32Array(Uint8Array.of(...rgb, 255).buffer)[0]

/** The image, stretched over the window. */
function drawImage(scene, view, at) {
  const [x0, x1, y0, y1] = view.window
  const [left, top] = project(view, x0, y1)
  const [right, bottom] = project(view, x1, y0)
  scene.context.drawImage(imageTile(scene, at), left, top, right - left, bottom - top)
}

// ---------------------------------------------------------------- particles

// A dot is drawn at this many positions within a pixel along each axis, so that it moves smoothly.
const PHASES = 4

// Kinds of dot that are remembered; when there are more, all are forgotten.
const MOST_DOTS = 64

/** Dots with a thin edge of paper, one for each position within a pixel. */
function dotMasks(scene, colour, radius, width) {
  const { ratio, theme, cache } = scene
  const name = `${colour} ${radius} ${ratio} ${width} ${theme.paper}`
  if (cache.dots.has(name)) return cache.dots.get(name)
  const edge = radius >= 2 ? 0.8 : 0
  const side = 2 * Math.ceil((radius + edge) * ratio) + 2
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true })
  const masks = Array.from({ length: PHASES * PHASES }, (_, phase) => {
    const [x, y] = [phase % PHASES, Math.floor(phase / PHASES)].map((part) => side / 2 + part / PHASES)
    const disc = (size, style, alpha) => {
      context.globalAlpha = alpha
      context.fillStyle = style
      context.beginPath()
      context.arc(x, y, size * ratio, 0, 2 * Math.PI)
      context.fill()
    }
    context.clearRect(0, 0, side, side)
    if (edge > 0) disc(radius + edge, theme.paper, 0.75)
    disc(radius, colour, 1)
    return visiblePixels(new Uint32Array(context.getImageData(0, 0, side, side).data.buffer), side, width)
  })
  if (cache.dots.size >= MOST_DOTS) cache.dots.clear()
  cache.dots.set(name, { side, masks })
  return cache.dots.get(name)
}

// Room around the plane for dots that its edge cuts, in device pixels.
const PAD = 32

/** A canvas of device pixels that covers the plane, and its pixels; made anew only when the size changes. */
function pixelLayer({ cache, ratio }, box) {
  const [width, height] = [box.width, box.height].map((length) => Math.round(length * ratio) + 2 * PAD)
  const kept = cache.pixels
  if (kept?.width === width && kept.height === height) return kept
  const canvas = new OffscreenCanvas(width, height)
  const context = canvas.getContext("2d", { willReadFrequently: true })
  const image = context.createImageData(width, height)
  cache.pixels = { width, height, canvas, context, image, words: new Uint32Array(image.data.buffer) }
  return cache.pixels
}

/** Put a canvas of device pixels on the picture, over the plane and `pad` pixels around it. */
function placeLayer({ context, ratio }, canvas, box, pad = 0) {
  context.save()
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.imageSmoothingEnabled = false
  context.drawImage(canvas, Math.round(box.left * ratio) - pad, Math.round(box.top * ratio) - pad)
  context.restore()
}

/** The colour of an index from Python: a component's, or for -1 the plain one. */
const LEARNED = -2 // the label of arrows of a learned score

const colourOf = ({ options }, index, plain) =>
  index === LEARNED ? options.learned : index < 0 ? plain : options.components[index]

const samplesColour = ({ options, theme }) => options.samples[theme.dark ? "dark" : "light"]

/** [ax, bx, ay, by] of pixel = a q + b for a layer's 16-bit coordinates q, in pixels (times ratio) from the plane's corner. */
function pixelScale(view, layer, ratio) {
  const line = (scale, offset, low, step) => [ratio * scale * step, ratio * (offset + scale * (low + QUANTA * step))]
  return [
    ...line(view.scaleX, view.offsetX - view.box.left, layer.low[0], layer.step[0]),
    ...line(view.scaleY, view.offsetY - view.box.top, layer.low[1], layer.step[1]),
  ]
}

/** Dots are written pixel by pixel, which is thirty times as fast as ten thousand calls of drawImage. */
function drawParticles(scene, view, at) {
  const { x, y, count, runs } = scene.frames.particles
  const [ax, bx, ay, by] = pixelScale(view, scene.frames.particles, scene.ratio)
  const { width, height, canvas, context, image, words } = pixelLayer(scene, view.box)
  const radius = dotRadius(count) * scene.thickness
  words.fill(0)
  for (const [colour, start, length] of runs) {
    const { side, masks } = dotMasks(scene, colourOf(scene, colour, samplesColour(scene)), radius, width)
    const shift = PAD - side / 2
    for (let i = at.first * count + start, j = at.second * count + start, end = i + length; i < end; i++, j++) {
      if (x[i] === MISSING || x[j] === MISSING || y[i] === MISSING || y[j] === MISSING) continue
      const px = ax * (x[i] + (x[j] - x[i]) * at.fraction) + bx + shift
      const py = ay * (y[i] + (y[j] - y[i]) * at.fraction) + by + shift
      if (px < 0 || py < 0 || px >= width - side || py >= height - side) continue
      const left = Math.floor(px)
      const top = Math.floor(py)
      const phase = Math.floor((py - top) * PHASES) * PHASES + Math.floor((px - left) * PHASES)
      stampPixels(words, top * width + left, masks[phase])
    }
  }
  context.putImageData(image, 0, 0)
  placeLayer(scene, canvas, view.box, PAD)
}

// ---------------------------------------------------------------- trails

/** Segments from frame to frame + 1 of particles start..end, up to `fraction` of the way, as one stroke. */
function strokeStep(context, layer, [ax, bx, ay, by], frame, fraction, start, end) {
  const { x, y, count } = layer
  context.beginPath()
  for (let i = frame * count + start; i < frame * count + end; i++) {
    const j = i + count
    if (x[i] === MISSING || x[j] === MISSING || y[i] === MISSING || y[j] === MISSING) continue
    context.moveTo(ax * x[i] + bx, ay * y[i] + by)
    context.lineTo(ax * (x[i] + (x[j] - x[i]) * fraction) + bx, ay * (y[i] + (y[j] - y[i]) * fraction) + by)
  }
  context.stroke()
}

/** One step of every trail, a few particles of each colour in turn so that no colour lies on top of the others. */
function strokeRuns(scene, context, scale, frame, fraction) {
  const { particles } = scene.frames
  const most = Math.max(...particles.runs.map(([, , length]) => length))
  const few = Math.max(16, Math.ceil(most / 16))
  context.lineWidth = 1.2 * scene.thickness
  context.lineCap = "round"
  for (let k = 0; k < most; k += few) {
    for (const [colour, start, length] of particles.runs) {
      if (k >= length) continue
      context.strokeStyle = colourOf(scene, colour, samplesColour(scene))
      strokeStep(context, particles, scale, frame, fraction, start + k, start + Math.min(length, k + few))
    }
  }
}

/** Trails that fade with age, over the last `trails` frames. */
function drawFadingTrails(scene, view, at) {
  const { context, frames, options } = scene
  const scale = pixelScale(view, frames.particles, 1)
  const position = at.first + at.fraction
  context.save()
  context.translate(view.box.left, view.box.top)
  for (let frame = Math.max(0, Math.floor(position - options.trails)); frame <= at.first && frame + 1 < frames.count; frame++) {
    const age = clamp((position - frame) / (options.trails + 1), 0, 1)
    context.globalAlpha = 0.6 * (1 - age)
    strokeRuns(scene, context, scale, frame, frame === at.first ? at.fraction : 1)
  }
  context.restore()
}

/** The canvas that holds the finished steps of whole paths; emptied when the view or the data change or time runs back. */
function pathLayer({ frames, theme, ratio, cache }, view, at) {
  const name = JSON.stringify([view.window, view.box, ratio, theme.paper])
  const kept = cache.paths
  if (kept?.name === name && kept.frames === frames && kept.until <= at.first) return kept
  const canvas = kept?.canvas ?? new OffscreenCanvas(1, 1)
  canvas.width = Math.round(view.box.width * ratio)
  canvas.height = Math.round(view.box.height * ratio)
  cache.paths = { name, frames, canvas, until: 0 }
  return cache.paths
}

/** Whole paths; while it plays, only the new steps are added. */
function drawWholePaths(scene, view, at) {
  const { ratio } = scene
  const layer = pathLayer(scene, view, at)
  const scale = pixelScale(view, scene.frames.particles, 1)
  const context = layer.canvas.getContext("2d")
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  for (; layer.until < at.first; layer.until++) strokeRuns(scene, context, scale, layer.until, 1)
  scene.context.save()
  scene.context.globalAlpha = 0.45
  placeLayer(scene, layer.canvas, view.box)
  scene.context.translate(view.box.left, view.box.top)
  if (at.fraction > 0) strokeRuns(scene, scene.context, scale, at.first, at.fraction)
  scene.context.restore()
}

// ---------------------------------------------------------------- ellipses and arrows

/** Components as ellipses of one and two standard deviations. */
function drawEllipses(scene, view, at) {
  const { context, frames, options } = scene
  const { count, values: table } = frames.ellipses
  const row = rowBetween(table, 5 * count, at.first, at.second, at.fraction)
  for (let k = 0; k < count; k++) {
    const [x, y, a, b, angle] = row.subarray(5 * k, 5 * k + 5)
    context.strokeStyle = options.components[k % options.components.length]
    for (const [deviations, width] of [[1, 2.5], [2, 1.5]]) {
      context.save()
      context.transform(view.scaleX, 0, 0, view.scaleY, view.offsetX, view.offsetY)
      context.beginPath()
      context.ellipse(x, y, deviations * a, deviations * b, angle, 0, 2 * Math.PI)
      context.restore()
      context.lineWidth = width * scene.thickness
      context.stroke()
    }
  }
}

/** Arrows of one colour as one path. The head is open, 0.4 of the arrow's length and at most `longest` pixels. */
function arrowPath(arrows, longest = 7) {
  const path = new Path2D()
  for (const [x, y, dx, dy] of arrows) {
    const length = Math.hypot(dx, dy)
    if (length < 1) {
      path.rect(x - 0.4, y - 0.4, 0.8, 0.8)
      continue
    }
    const head = Math.min(longest, 0.4 * length) / length
    path.moveTo(x, y)
    path.lineTo(x + dx, y + dy)
    path.moveTo(x + dx - head * (dx + 0.6 * dy), y + dy - head * (dy - 0.6 * dx))
    path.lineTo(x + dx, y + dy)
    path.lineTo(x + dx - head * (dx - 0.6 * dy), y + dy - head * (dy + 0.6 * dx))
  }
  return path
}

/** Tail and vector of arrow m in pixels, or null where one is missing. */
function arrowAt(arrows, view, at, m) {
  const { anchors, count } = arrows
  const [x0, x1, y0, y1] = view.window
  const read = (column, layer, axis, once) => {
    const [a, b] = once ? [column[m], column[m]] : [column[at.first * count + m], column[at.second * count + m]]
    return a === MISSING || b === MISSING ? NaN : dequantise(lerp(a, b, at.fraction), layer.low[axis], layer.step[axis])
  }
  const x = x0 + (x1 - x0) * read(anchors.x, anchors, 0, anchors.once)
  const y = y0 + (y1 - y0) * read(anchors.y, anchors, 1, anchors.once)
  const dx = (x1 - x0) * view.scaleX * read(arrows.x, arrows, 0, false)
  const dy = (y1 - y0) * view.scaleY * read(arrows.y, arrows, 1, false)
  return Number.isFinite(x + y + dx + dy) ? [...project(view, x, y), dx, dy] : null
}

function strokePath({ context, thickness }, path, colour, width) {
  context.strokeStyle = colour
  context.lineWidth = width * thickness
  context.stroke(path)
}

/** The field of arrows. Coloured ones have an edge of paper, or they would not be seen on dots of the same colour. */
function drawArrows(scene, view, at) {
  const { context, frames, theme } = scene
  context.lineJoin = "bevel"
  context.lineCap = "butt"
  context.globalAlpha = 0.9
  for (const [colour, start, length] of frames.arrows.runs) {
    const found = []
    for (let m = start; m < start + length; m++) found.push(arrowAt(frames.arrows, view, at, m))
    const path = arrowPath(found.filter((arrow) => arrow !== null))
    const coloured = colour !== -1
    if (coloured) strokePath(scene, path, theme.paper, 4.6)
    strokePath(scene, path, colourOf(scene, colour, theme.ink), coloured ? 2.6 : 1.6)
  }
  context.globalAlpha = 1
}

/** Four strokes around a point that leave the point itself free. */
function crossPath(x, y) {
  const path = new Path2D()
  for (const [dx, dy] of [[-10, 0], [10, 0], [0, -10], [0, 10]]) {
    path.moveTo(x + 0.35 * dx, y + 0.35 * dy)
    path.lineTo(x + dx, y + dy)
  }
  return path
}

/** The probe's cross with its arrows, all on one edge of paper: the coloured parts, and over them their thin sum. */
function drawProbe(scene, view, [x, y]) {
  const { context, theme, options } = scene
  const cross = crossPath(x, y)
  const perUnit = options.probeScale ? (options.probeScale.length * view.box.width) / options.probeScale.size : 0
  const arrows = scene.probeArrows.map(([colour, dx, dy]) => [colour, arrowPath([[x, y, perUnit * dx, -perUnit * dy]], 11)])
  context.lineCap = "butt"
  strokePath(scene, cross, theme.paper, 6)
  strokePath(scene, cross, theme.ink, 2.5)
  context.lineJoin = context.lineCap = "round"
  for (const [colour, path] of arrows) strokePath(scene, path, theme.paper, colour < 0 ? 5 : 7.5)
  for (const [colour, path] of arrows) strokePath(scene, path, colourOf(scene, colour, theme.ink), colour < 0 ? 2.2 : 4.2)
}

/** A triangle at the edge of the plane that points to a probe outside it. */
function drawMarker(scene, { x, y, angle }) {
  const { context, theme } = scene
  context.save()
  context.translate(x, y)
  context.rotate(angle)
  const triangle = new Path2D("M 10 0 L -8 8 L -8 -8 Z")
  context.lineJoin = "round"
  strokePath(scene, triangle, theme.paper, 6)
  context.fillStyle = theme.ink
  context.fill(triangle)
  context.restore()
}

// ---------------------------------------------------------------- axes

/** The frame of the plane with its numbers and the names of both axes. */
function drawAxes(scene, view) {
  const { context, theme, options } = scene
  const { left, top, width, height } = view.box
  const [x0, , y0] = view.window
  const { size } = scene
  context.strokeStyle = theme.ink
  context.fillStyle = theme.ink
  context.lineWidth = 1
  context.font = `${size}px ${theme.font}`
  context.strokeRect(left, top, width, height)
  context.beginPath()
  const xs = ticksX(view.window, width, size)
  context.textAlign = "center"
  context.textBaseline = "top"
  for (const tick of xs.ticks) {
    const [x] = project(view, tick, y0)
    context.moveTo(x, top + height)
    context.lineTo(x, top + height + 5)
    context.fillText(tickText(tick, xs.step), x, top + height + 7)
  }
  const ys = ticksY(view.window, height, size)
  context.textAlign = "right"
  context.textBaseline = "middle"
  for (const tick of ys.ticks) {
    const [, y] = project(view, x0, tick)
    context.moveTo(left, y)
    context.lineTo(left - 5, y)
    context.fillText(tickText(tick, ys.step), left - 7, y)
  }
  context.stroke()
  drawAxisNames(context, options, view.box, size, left - axisRoom(scene))
}

function drawAxisNames(context, options, { left, top, width, height }, size, edge) {
  context.font = `${size * 1.08}px ${context.font.replace(/^\S+\s/, "")}`
  context.textAlign = "center"
  context.textBaseline = "bottom"
  context.fillText(options.xLabel, left + width / 2, top + height + size * 3.05)
  context.save()
  context.translate(edge + size * 0.15, top + height / 2)
  context.rotate(-Math.PI / 2)
  context.textBaseline = "top"
  context.fillText(options.yLabel, 0, 0)
  context.restore()
}

// ---------------------------------------------------------------- margin

/** The y of all particles that have one, at a moment between two frames. */
function heightsAt({ y, count, low, step }, at) {
  const found = []
  for (let m = 0; m < count; m++) {
    const [a, b] = [y[at.first * count + m], y[at.second * count + m]]
    if (a !== MISSING && b !== MISSING) found.push(dequantise(lerp(a, b, at.fraction), low[1], step[1]))
  }
  return found
}

/** Beside the plane the exact density along y, and a histogram of the particles. */
function drawMargin(scene, view, panel, at) {
  const { context, frames, theme } = scene
  const { values: table, count } = frames.margin
  const curve = rowBetween(table, count, at.first, at.second, at.fraction)
  const [, , y0, y1] = view.window
  const heights = frames.particles ? heightsAt(frames.particles, at) : []
  const bins = clamp(Math.round(2 * Math.sqrt(heights.length)), 10, 50)
  const bars = histogram(heights, y0, y1, bins, frames.particles?.count ?? 0)
  const most = 1.08 * Math.max(1e-12, ...curve, ...bars)
  const across = (density) => panel.left + (panel.width * density) / most
  const down = (y) => project(view, 0, y)[1]
  clip(context, panel, () => {
    context.fillStyle = samplesColour(scene)
    context.globalAlpha = 0.55
    const binHeight = (y1 - y0) / bins
    bars.forEach((density, i) => {
      const [bottom, top] = [down(y0 + i * binHeight), down(y0 + (i + 1) * binHeight)]
      context.fillRect(panel.left, top, across(density) - panel.left, bottom - top - 0.5)
    })
    context.globalAlpha = 1
    context.strokeStyle = theme.ink
    context.lineWidth = 2.5 * scene.thickness
    context.lineJoin = "round"
    context.beginPath()
    curve.forEach((density, i) => context.lineTo(across(density), down(y0 + ((i + 0.5) * (y1 - y0)) / count)))
    context.stroke()
  })
  drawMarginAxis(scene, panel, most)
}

function drawMarginAxis(scene, panel, most) {
  const { context, theme, size } = scene
  const bottom = panel.top + panel.height
  context.strokeStyle = theme.ink
  context.fillStyle = theme.ink
  context.lineWidth = 1
  context.textAlign = "center"
  context.textBaseline = "top"
  context.font = `${size}px ${theme.font}`
  context.beginPath()
  context.moveTo(panel.left, panel.top)
  context.lineTo(panel.left, bottom)
  context.lineTo(panel.left + panel.width, bottom)
  const { ticks, step } = niceTicks(0, most, 3)
  const tick = ticks[ticks.length - 1]
  const x = panel.left + (panel.width * tick) / most
  context.moveTo(x, bottom)
  context.lineTo(x, bottom + 5)
  context.stroke()
  context.fillText(tickText(tick, step), Math.min(x, panel.left + panel.width - size), bottom + 7)
  context.textBaseline = "bottom"
  context.fillText(scene.options.labels.density, panel.left + panel.width / 2, bottom + size * 3.05)
}

// ---------------------------------------------------------------- the whole picture

/** Everything in the plane, from the image at the bottom to the probe on top. */
function drawPlane(scene, view, at) {
  const { context, frames, options, probe } = scene
  clip(context, view.box, () => {
    if (imageOf(frames)) drawImage(scene, view, at)
    if (frames.particles && options.trails >= frames.count) drawWholePaths(scene, view, at)
    else if (frames.particles && options.trails > 0) drawFadingTrails(scene, view, at)
    if (frames.particles) drawParticles(scene, view, at)
    if (frames.ellipses) drawEllipses(scene, view, at)
    if (frames.arrows) drawArrows(scene, view, at)
    if (!probe) return
    const place = project(view, ...probe)
    const marker = edgeMarker(view.box, ...place, 12 * scene.thickness)
    if (marker) drawMarker(scene, marker)
    else drawProbe(scene, view, place)
  })
}

/**
 * A painter for one canvas. `paint(scene)` draws a scene and returns the projection that it was drawn with. It changes nothing
 * in the scene; what it remembers from one scene to the next is in a cache of its own.
 *
 * A scene has the frames, Python's options, the theme, the picture's width, height, size of text and thickness of lines in
 * pixels, the ratio of device pixels to these, the playing position, the probe's place (or null) and the probe's arrows.
 */
export function createPainter(canvas) {
  const context = canvas.getContext("2d")
  const cache = { widest: null, tile: null, pixels: null, paths: null, dots: new Map() }
  return {
    paint(asked) {
      const scene = { ...asked, context, cache }
      const { frames, options, width, height, ratio } = scene
      const at = between(scene.position, frames.count)
      const { box: room, panel } = plotBox(scene)
      const window = windowAt(frames, at)
      const view = projection(window, options.equalAspect ? fitBox(window, room) : room)
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      context.clearRect(0, 0, width, height)
      drawPlane(scene, view, at)
      drawAxes(scene, view)
      if (panel) drawMargin(scene, view, panel, at)
      return view
    },
  }
}
