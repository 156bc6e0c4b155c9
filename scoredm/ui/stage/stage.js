// The animated plane. First the arithmetic, as plain functions; then reading the columns, drawing, and the stage itself.

const QUANTA = 32767
const MISSING = -32768
const SECONDS = 5
const SPEEDS = [0.25, 0.5, 1, 2, 4]

// ---------------------------------------------------------------- arithmetic

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value))

export const lerp = (a, b, f) => a + (b - a) * f

/** The value that a 16-bit integer stands for. */
export const dequantise = (q, low, step) => low + (q + QUANTA) * step

/** Frames to either side of a playing position, and how far it is past the first. */
export function between(position, count) {
  const first = clamp(Math.floor(position), 0, count - 1)
  const second = Math.min(first + 1, count - 1)
  return { first, second, fraction: second === first ? 0 : position - first }
}

/** The largest box in the middle of another that has the shape of the window [x0, x1, y0, y1], in whole pixels. */
export function fitted([x0, x1, y0, y1], { left, top, width, height }) {
  const unit = Math.min(width / (x1 - x0), height / (y1 - y0))
  const [across, down] = [Math.round(unit * (x1 - x0)), Math.round(unit * (y1 - y0))]
  return { left: left + Math.floor((width - across) / 2), top: top + Math.floor((height - down) / 2), width: across, height: down }
}

/** What maps a window onto a box of pixels {left, top, width, height}: pixel = offset + scale * value, y upwards. */
export function projection([x0, x1, y0, y1], box) {
  const scaleX = box.width / (x1 - x0)
  const scaleY = -box.height / (y1 - y0)
  return { window: [x0, x1, y0, y1], box, scaleX, scaleY, offsetX: box.left - x0 * scaleX, offsetY: box.top - y1 * scaleY }
}

export const project = (view, x, y) => [view.offsetX + view.scaleX * x, view.offsetY + view.scaleY * y]

export const unproject = (view, px, py) => [(px - view.offsetX) / view.scaleX, (py - view.offsetY) / view.scaleY]

/** The position after some seconds of play: `seconds` at speed 1 lead through all frames, and the end stops or wraps. */
export function advance(position, last, elapsed, speed, loop, seconds = SECONDS) {
  const next = position + (last / seconds) * speed * elapsed
  if (next < last) return { position: next, ended: false }
  return loop && last > 0 ? { position: next % last, ended: false } : { position: last, ended: true }
}

export const isFalling = (times) => times[times.length - 1] < times[0]

/** The place on the bar of a playing position, data always left; its own inverse. */
export const barPlace = (position, last, falling) => (falling ? last - position : position)

/** The playing position at time t on monotone times, clamped to the ends. */
export function positionAt(times, t) {
  const last = times.length - 1
  const sign = isFalling(times) ? -1 : 1
  if (sign * (t - times[0]) <= 0) return 0
  for (let i = 0; i < last; i++) {
    const [a, b] = [times[i], times[i + 1]]
    if (sign * (b - t) >= 0) return b === a ? i + 1 : i + (t - a) / (b - a)
  }
  return last
}

/** Where new data takes over: the same end of the same journey, else the same time. */
export function carryOver(oldTimes, position, newTimes) {
  const last = newTimes.length - 1
  const sameWay = isFalling(oldTimes) === isFalling(newTimes)
  if (oldTimes.length > 1 && sameWay && position >= oldTimes.length - 1) return last
  const { first, second, fraction } = between(position, oldTimes.length)
  return positionAt(newTimes, lerp(oldTimes[first], oldTimes[second], fraction))
}

/** Round numbers inside [low, high], about `wanted` of them, and the step between them. */
export function niceTicks(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((m) => m * power >= rough * (1 - 1e-9)) ?? 10)
  const ticks = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step)
  return { ticks, step }
}

/** A tick's number with the digits that its step needs. */
export function tickText(value, step) {
  const size = Math.abs(value) < step / 1e6 ? 0 : value
  if (Math.abs(size) >= 1e5 || (size !== 0 && step < 1e-4)) return size.toExponential(1).replace("-", "−")
  return size.toFixed(clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 6)).replace("-", "−")
}

export function timeText(t) {
  const small = t !== 0 && Math.abs(t) < 0.01
  return small ? String(Number(t.toPrecision(1))) : t.toFixed(2)
}

/** Density of the values over equal bins of [low, high]: the count over total times bin width. */
export function histogram(values, low, high, bins, total) {
  const density = new Float64Array(bins)
  const perUnit = bins / (high - low)
  for (const value of values) {
    const bin = Math.floor((value - low) * perUnit)
    if (bin >= 0 && bin < bins) density[bin] += 1
  }
  return density.map((count) => (total > 0 ? (count * perUnit) / total : 0))
}

/** The values between two rows of a column, row r being values[r * width .. (r + 1) * width). */
export function rowBetween(values, width, first, second, fraction) {
  return Float64Array.from({ length: width }, (_, i) => lerp(values[first * width + i], values[second * width + i], fraction))
}

/** 256 colours along stops of [r, g, b], flat. */
export function colourRamp(stops) {
  const ramp = new Uint8ClampedArray(256 * 3)
  for (let level = 0; level < 256; level++) {
    const { first, second, fraction } = between((level / 255) * (stops.length - 1), stops.length)
    for (let c = 0; c < 3; c++) ramp[3 * level + c] = Math.round(lerp(stops[first][c], stops[second][c], fraction))
  }
  return ramp
}

/** Every 15th colour of a ramp, for a gradient in CSS. */
export const rampStops = (ramp) => Array.from({ length: 18 }, (_, i) => `rgb(${ramp.slice(45 * i, 45 * i + 3).join(" ")})`).join(", ")

/** One 32-bit pixel (alpha in the top byte) over another. */
export function blend(over, under) {
  const a = over >>> 24
  const b = under >>> 24
  if (a === 255 || b === 0) return over
  if (b === 255) {
    // Two channels at a time; weights out of 256 keep each product inside its 16 bits.
    const [w, v] = [a + (a >>> 7), 256 - a - (a >>> 7)]
    const even = (((over & 0xff00ff) * w + (under & 0xff00ff) * v) >>> 8) & 0xff00ff
    const odd = (((over >>> 8) & 0xff) * w + ((under >>> 8) & 0xff) * v) & 0xff00
    return (0xff000000 | even | odd) >>> 0
  }
  const rest = (b * (255 - a)) / 255
  const mixed = (shift) => Math.round((((over >>> shift) & 255) * a + ((under >>> shift) & 255) * rest) / (a + rest)) << shift
  return ((Math.round(a + rest) << 24) | mixed(16) | mixed(8) | mixed(0)) >>> 0
}

/** The pixels of a square mask that show anything, as offsets into a picture of this width and their values. */
export function spread(mask, side, width) {
  const shown = Array.from(mask.keys()).filter((i) => mask[i] >>> 24 > 0)
  return {
    offsets: Int32Array.from(shown, (i) => Math.floor(i / side) * width + (i % side)),
    values: Uint32Array.from(shown, (i) => mask[i]),
  }
}

/** Blend spread-out pixels onto a picture, the mask's first corner at index `corner`. */
export function stamp(pixels, corner, { offsets, values }) {
  for (let k = 0; k < offsets.length; k++) {
    const p = corner + offsets[k]
    const over = values[k]
    pixels[p] = over >= 0xff000000 ? over : blend(over, pixels[p])
  }
}

/** The height of the picture: as asked for a screen of 800 pixels, more on a taller one, but not much taller than wide. */
export const pictureHeight = (width, height, screen) =>
  Math.round(Math.min(height * Math.max(1, screen / 800), Math.max(260, width * 1.05)))

export const dotRadius = (count) => [[300, 3.5], [1000, 3], [3000, 2.2], [6000, 1.8]].find(([most]) => count <= most)?.[1] ?? 1.5

// ---------------------------------------------------------------- reading the columns

const values = (table, name) => table.getChild(name).toArray()

function readCamera(table) {
  const edges = [0, 1, 2, 3].map((i) => values(table, `w${i}`))
  return { times: Array.from(values(table, "t"), Number), edges }
}

const xy = (table) => (table ? { x: values(table, "x"), y: values(table, "y") } : null)

function readData(data) {
  const { layout } = data
  return {
    ...readCamera(data.camera),
    count: layout.frames,
    particles: layout.particles && { ...layout.particles, ...xy(data.particles) },
    image: layout.image && { ...layout.image, levels: values(data.image, "v") },
    arrows: layout.arrows && { ...layout.arrows, ...xy(data.arrows), anchors: { ...layout.arrows.anchors, ...xy(data.anchors) } },
    ellipses: layout.ellipses && { ...layout.ellipses, values: values(data.ellipses, "v") },
    margin: layout.margin && { ...layout.margin, values: values(data.margin, "v") },
  }
}

/** The window at a playing position. */
function windowAt(frames, at) {
  return frames.edges.map((edge) => lerp(edge[at.first], edge[at.second], at.fraction))
}

// ---------------------------------------------------------------- colours

function rgb(context, colour) {
  context.fillStyle = "#000"
  context.fillStyle = colour
  const text = context.fillStyle
  if (text.startsWith("#")) return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16))
  return text.match(/[\d.]+/g).slice(0, 3).map(Number)
}

const luminance = ([r, g, b]) => (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255

function readTheme(element, context, errors) {
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

const sameTheme = (a, b) => a && a.paper === b.paper && a.ink === b.ink && a.font === b.font && a.size === b.size

// ---------------------------------------------------------------- drawing

/** Room for the numbers and the name of the vertical axis. */
const axisRoom = (width, size) => size * (width < 480 ? 3.1 : 3.9)

function plotBox(width, height, size, margin) {
  const panel = margin ? clamp(width * 0.2, 64, 190) : 0
  const left = axisRoom(width, size)
  const top = size * 0.6
  const right = size * 0.8 + (margin ? panel + size * 0.8 : 0)
  const bottom = size * 3.2
  const [x, y] = [Math.round(left), Math.round(top)]
  const box = { left: x, top: y, width: Math.round(width - right) - x, height: Math.round(height - bottom) - y }
  return { box, panel: margin && { left: x + box.width + size * 0.8, top: y, width: panel, height: box.height } }
}

function clip(context, box, draw) {
  context.save()
  context.beginPath()
  context.rect(box.left, box.top, box.width, box.height)
  context.clip()
  draw()
  context.restore()
}

/** The image between two frames as a small canvas, its levels blended before they are coloured. */
function imageTile(scene, at) {
  const { image } = scene.frames
  const still = image.count === 1
  const [first, second, fraction] = still ? [0, 0, 0] : [at.first, at.second, at.fraction]
  const ramp = scene.theme.ramps[image.kind]
  const kept = scene.tile
  if (kept?.image === image && kept.ramp === ramp && kept.position === first + fraction) return kept.canvas
  const canvas = kept?.canvas ?? new OffscreenCanvas(1, 1)
  Object.assign(canvas, { width: image.width, height: image.height })
  const context = canvas.getContext("2d", { willReadFrequently: true })
  const pixels = context.createImageData(image.width, image.height)
  const [under, over] = [first * image.width * image.height, second * image.width * image.height]
  for (let row = 0; row < image.height; row++) {
    const target = (image.height - 1 - row) * image.width
    for (let column = 0; column < image.width; column++) {
      const cell = row * image.width + column
      const level = 3 * Math.round(lerp(image.levels[under + cell], image.levels[over + cell], fraction))
      const pixel = 4 * (target + column)
      pixels.data[pixel] = ramp[level]
      pixels.data[pixel + 1] = ramp[level + 1]
      pixels.data[pixel + 2] = ramp[level + 2]
      pixels.data[pixel + 3] = 255
    }
  }
  context.putImageData(pixels, 0, 0)
  scene.tile = { position: first + fraction, ramp, image, canvas }
  return canvas
}

function drawImage(scene, view, at, [x0, x1, y0, y1]) {
  const [left, top] = project(view, x0, y1)
  const [right, bottom] = project(view, x1, y0)
  scene.context.drawImage(imageTile(scene, at), left, top, right - left, bottom - top)
}

const PHASES = 4

/** A dot with a thin edge of paper, once for each quarter-pixel position so that motion is smooth. */
function dotMasks(scene, colour, radius, ratio, width) {
  const name = `${colour} ${radius} ${ratio} ${width} ${scene.theme.paper}`
  if (scene.dots.has(name)) return scene.dots.get(name)
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
    if (edge > 0) disc(radius + edge, scene.theme.paper, 0.75)
    disc(radius, colour, 1)
    return spread(new Uint32Array(context.getImageData(0, 0, side, side).data.buffer), side, width)
  })
  if (scene.dots.size > 64) scene.dots.clear()
  scene.dots.set(name, { side, masks })
  return scene.dots.get(name)
}

// Room around the plot for dots that its edge cuts, in device pixels.
const PAD = 32

/** A canvas of its own over the plot, in device pixels, and its pixels; made anew only when the size changes. */
function pixelLayer(scene, box, ratio) {
  const [width, height] = [box.width, box.height].map((length) => Math.round(length * ratio) + 2 * PAD)
  const kept = scene.pixels
  if (kept?.width === width && kept.height === height) return kept
  const canvas = new OffscreenCanvas(width, height)
  const context = canvas.getContext("2d", { willReadFrequently: true })
  const image = context.createImageData(width, height)
  scene.pixels = { width, height, canvas, context, image, words: new Uint32Array(image.data.buffer) }
  return scene.pixels
}

/** Put a canvas of device pixels on the picture, its corner at the plot's. */
function place(context, canvas, box, ratio, pad = 0) {
  context.save()
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.imageSmoothingEnabled = false
  context.drawImage(canvas, Math.round(box.left * ratio) - pad, Math.round(box.top * ratio) - pad)
  context.restore()
}

const colourOf = (scene, index, plain) => (index < 0 ? plain : scene.options.components[index])

const samplesColour = ({ options, theme }) => options.samples[theme.dark ? "dark" : "light"]

/** Coefficients [ax, bx, ay, by] of pixel = a q + b for a layer's 16-bit coordinates, in device pixels from the plot's corner. */
function pixelScale(view, layer, ratio) {
  const line = (scale, offset, low, step) => [ratio * scale * step, ratio * (offset + scale * (low + QUANTA * step))]
  return [
    ...line(view.scaleX, view.offsetX - view.box.left, layer.low[0], layer.step[0]),
    ...line(view.scaleY, view.offsetY - view.box.top, layer.low[1], layer.step[1]),
  ]
}

/** Dots are written pixel by pixel: thirty times as fast as stamping ten thousand of them with drawImage. */
function drawParticles(scene, view, at, ratio) {
  const { frames } = scene
  const { x, y, count, runs } = frames.particles
  const [ax, bx, ay, by] = pixelScale(view, frames.particles, ratio)
  const { width, height, canvas, context, image, words } = pixelLayer(scene, view.box, ratio)
  const radius = dotRadius(count) * scene.thickness
  words.fill(0)
  for (const [colour, start, length] of runs) {
    const { side, masks } = dotMasks(scene, colourOf(scene, colour, samplesColour(scene)), radius, ratio, width)
    const shift = PAD - side / 2
    for (let i = at.first * count + start, j = at.second * count + start, end = i + length; i < end; i++, j++) {
      if (x[i] === MISSING || x[j] === MISSING || y[i] === MISSING || y[j] === MISSING) continue
      const px = ax * (x[i] + (x[j] - x[i]) * at.fraction) + bx + shift
      const py = ay * (y[i] + (y[j] - y[i]) * at.fraction) + by + shift
      if (px < 0 || py < 0 || px >= width - side || py >= height - side) continue
      const left = Math.floor(px)
      const top = Math.floor(py)
      const phase = Math.floor((py - top) * PHASES) * PHASES + Math.floor((px - left) * PHASES)
      stamp(words, top * width + left, masks[phase])
    }
  }
  context.putImageData(image, 0, 0)
  place(scene.context, canvas, view.box, ratio, PAD)
}

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

/** The layer that holds the finished steps of whole paths, emptied when the view, the data or the direction changes. */
function pathLayer(scene, view, at, ratio) {
  const { frames, theme } = scene
  const name = JSON.stringify([view.window, view.box, ratio, theme.paper])
  const kept = scene.paths
  if (kept?.name === name && kept.frames === frames && kept.until <= at.first) return kept
  const canvas = kept?.canvas ?? new OffscreenCanvas(1, 1)
  canvas.width = Math.round(view.box.width * ratio)
  canvas.height = Math.round(view.box.height * ratio)
  scene.paths = { name, frames, canvas, until: 0 }
  return scene.paths
}

/** Whole paths: playing on only adds the steps that are new. */
function drawWholePaths(scene, view, at, ratio) {
  const layer = pathLayer(scene, view, at, ratio)
  const scale = pixelScale(view, scene.frames.particles, 1)
  const context = layer.canvas.getContext("2d")
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  for (; layer.until < at.first; layer.until++) strokeRuns(scene, context, scale, layer.until, 1)
  scene.context.save()
  scene.context.globalAlpha = 0.45
  place(scene.context, layer.canvas, view.box, ratio)
  scene.context.translate(view.box.left, view.box.top)
  if (at.fraction > 0) strokeRuns(scene, scene.context, scale, at.first, at.fraction)
  scene.context.restore()
}

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

/** Arrows of one colour as one path: a shaft and an open head, shorter than the arrow and no longer than `longest`. */
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
function arrowAt(arrows, frame, view, [x0, x1, y0, y1], at, m) {
  const { anchors, count } = arrows
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

/** Arrows in colour lie on an edge of paper: on dots of their own colour they would not be seen. */
function drawArrows(scene, view, at, window) {
  const { context, frames, theme } = scene
  context.lineJoin = "bevel"
  context.lineCap = "butt"
  context.globalAlpha = 0.9
  for (const [colour, start, length] of frames.arrows.runs) {
    const found = []
    for (let m = start; m < start + length; m++) found.push(arrowAt(frames.arrows, at.first, view, window, at, m))
    const path = arrowPath(found.filter((arrow) => arrow !== null))
    if (colour >= 0) strokePath(scene, path, theme.paper, 4.6)
    strokePath(scene, path, colourOf(scene, colour, theme.ink), colour < 0 ? 1.6 : 2.6)
  }
  context.globalAlpha = 1
}

function crossPath(x, y) {
  const path = new Path2D()
  for (const [dx, dy] of [[-10, 0], [10, 0], [0, -10], [0, 10]]) {
    path.moveTo(x + 0.35 * dx, y + 0.35 * dy)
    path.lineTo(x + dx, y + dy)
  }
  return path
}

/** The probe's vectors [colour, dx, dy] as paths to one scale, the longest a fifth of the frame. */
function probePaths(vectors, view, x, y) {
  const longest = Math.max(1e-300, ...vectors.map(([, dx, dy]) => Math.hypot(dx, dy)))
  const length = view.box.width / 5 / longest
  return vectors.map(([colour, dx, dy]) => [colour, arrowPath([[x, y, length * dx, -length * dy]], 11)])
}

/** A cross with its arrows, all on one edge of paper: parts in colour, and their sum, thin, over them. */
function drawProbe(scene, view) {
  const { context, theme } = scene
  const [x, y] = project(view, ...scene.probe)
  const cross = crossPath(x, y)
  const arrows = probePaths(scene.probeArrows, view, x, y)
  context.lineCap = "butt"
  strokePath(scene, cross, theme.paper, 6)
  strokePath(scene, cross, theme.ink, 2.5)
  context.lineJoin = context.lineCap = "round"
  for (const [colour, path] of arrows) strokePath(scene, path, theme.paper, colour < 0 ? 5 : 7.5)
  for (const [colour, path] of arrows) strokePath(scene, path, colourOf(scene, colour, theme.ink), colour < 0 ? 2.2 : 4.2)
}

function drawAxes(scene, view) {
  const { context, theme, options } = scene
  const { left, top, width, height } = view.box
  const [x0, x1, y0, y1] = view.window
  const { size } = scene
  context.strokeStyle = theme.ink
  context.fillStyle = theme.ink
  context.lineWidth = 1
  context.font = `${size}px ${theme.font}`
  context.strokeRect(left, top, width, height)
  context.beginPath()
  const xs = niceTicks(x0, x1, width / (size * 5))
  context.textAlign = "center"
  context.textBaseline = "top"
  for (const tick of xs.ticks) {
    const [x] = project(view, tick, y0)
    context.moveTo(x, top + height)
    context.lineTo(x, top + height + 5)
    context.fillText(tickText(tick, xs.step), x, top + height + 7)
  }
  const ys = niceTicks(y0, y1, height / (size * 3.5))
  context.textAlign = "right"
  context.textBaseline = "middle"
  for (const tick of ys.ticks) {
    const [, y] = project(view, x0, tick)
    context.moveTo(left, y)
    context.lineTo(left - 5, y)
    context.fillText(tickText(tick, ys.step), left - 7, y)
  }
  context.stroke()
  drawAxisNames(context, options, view.box, size, left - axisRoom(scene.width, size))
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

/** The particles' y at a playing position, those that are numbers. */
function heightsAt({ y, count, low, step }, at) {
  const found = []
  for (let m = 0; m < count; m++) {
    const [a, b] = [y[at.first * count + m], y[at.second * count + m]]
    if (a !== MISSING && b !== MISSING) found.push(dequantise(lerp(a, b, at.fraction), low[1], step[1]))
  }
  return found
}

/** Beside the plane: the exact density along y, and the histogram of the particles there. */
function drawMargin(scene, view, panel, at, window) {
  const { context, frames, theme } = scene
  const { values: table, count } = frames.margin
  const curve = rowBetween(table, count, at.first, at.second, at.fraction)
  const [, , y0, y1] = window
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
  context.fillText("density", panel.left + panel.width / 2, bottom + size * 3.05)
}

function drawScene(scene) {
  const { context, frames, options, canvas } = scene
  const ratio = window.devicePixelRatio || 1
  const at = between(scene.position, frames.count)
  const shown = windowAt(frames, at)
  const { box: room, panel } = plotBox(scene.width, scene.height, scene.size, frames.margin)
  const box = options.equalAspect ? fitted(shown, room) : room
  const view = projection(shown, box)
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, scene.width, scene.height)
  clip(context, box, () => {
    if (frames.image) drawImage(scene, view, at, shown)
    if (frames.particles && options.trails >= frames.count) drawWholePaths(scene, view, at, ratio)
    else if (frames.particles && options.trails > 0) drawFadingTrails(scene, view, at)
    if (frames.particles) drawParticles(scene, view, at, ratio)
    if (frames.ellipses) drawEllipses(scene, view, at)
    if (frames.arrows) drawArrows(scene, view, at, shown)
    if (scene.probe) drawProbe(scene, view)
  })
  drawAxes(scene, view)
  if (panel) drawMargin(scene, view, panel, at, shown)
  scene.view = view
  canvas.dataset.window = view.window.map((edge) => Number(edge.toPrecision(6))).join(" ")
}

// ---------------------------------------------------------------- the stage

const icon = (name, path) => `<svg class="${name}" viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`

const MARKUP = `
  <canvas role="img" tabindex="0"></canvas>
  <div class="scale"><div class="strip"></div><div class="marks"></div></div>
  <div class="transport" role="group" aria-label="Playback">
    <button type="button" class="left-button" aria-label="One frame towards the data" title="One frame towards the data (left arrow)">
      ${icon("step", "M4 2h2v12H4zM13 2v12L6.5 8z")}</button>
    <button type="button" class="play-button">
      ${icon("play", "M3.5 1.5v13L14 8z")}${icon("pause", "M3 2h3.6v12H3zM9.4 2H13v12H9.4z")}</button>
    <button type="button" class="right-button" aria-label="One frame towards the noise" title="One frame towards the noise (right arrow)">
      ${icon("step", "M10 2h2v12h-2zM3 2v12l6.5-6z")}</button>
    <div class="bar"><span aria-hidden="true">data</span>
      <input type="range" min="0" step="any" aria-label="Time, from data to noise">
      <span aria-hidden="true">noise</span></div>
    <span class="clock"></span>
    <select aria-label="Playing speed" title="Playing speed">${SPEEDS.map((s) => `<option value="${s}"${s === 1 ? " selected" : ""}>${s}×</option>`).join("")}</select>
    <button type="button" class="loop-button" aria-label="Repeat" title="Repeat" aria-pressed="false">
      ${icon("loop", "M4 4h7V1.8L15 5l-4 3.2V6H5v3H3V5a1 1 0 0 1 1-1zM12 12H5v2.2L1 11l4-3.2V10h6V7h2v4a1 1 0 0 1-1 1z")}</button>
  </div>
  <div class="spoken" aria-live="polite"></div>`

const prefersStillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches

class Stage {
  constructor(parent) {
    this.root = document.createElement("div")
    this.root.className = "stage"
    this.root.innerHTML = MARKUP
    parent.appendChild(this.root)
    const find = (selector) => this.root.querySelector(selector)
    this.canvas = find("canvas")
    this.scale = find(".scale")
    this.transport = find(".transport")
    this.bar = find("input")
    this.clock = find(".clock")
    this.spoken = find(".spoken")
    this.playButton = find(".play-button")
    this.loopButton = find(".loop-button")
    this.speed = find("select")
    this.context = this.canvas.getContext("2d")
    Object.assign(this, { position: 0, playing: false, loop: false, probe: null, probeArrows: [], request: 0, drawn: 0, dots: new Map(), theme: null })
    this.listen(find(".left-button"), find(".right-button"))
    this.observer = new ResizeObserver(() => this.resize())
    this.observer.observe(this.root)
  }

  listen(left, right) {
    left.addEventListener("click", () => this.stepBar(-1))
    right.addEventListener("click", () => this.stepBar(1))
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

  /** Take the data of a run: the first sets the stage, later ones keep the place and the playing state. */
  receive({ data, setStateValue }) {
    const before = this.frames
    this.setStateValue = setStateValue
    this.options = data.view
    if (data !== this.data) {
      this.data = data
      this.frames = readData(data)
      if (before) this.position = carryOver(before.times, this.position, this.frames.times)
      else this.open()
      if (!this.playing) this.position = Math.round(this.position)
    }
    if (!this.options.probe) this.probe = null
    else if (this.options.probeAt) this.probe = this.options.probeAt
    this.probeArrows = this.options.probeArrows
    this.canvas.setAttribute("aria-label", this.options.alt)
    this.canvas.classList.toggle("probing", this.options.probe)
    this.transport.hidden = this.frames.count < 2
    this.transport.classList.toggle("towards-data", this.falling)
    this.bar.max = String(this.last)
    if (this.last === 0) this.playing = false
    this.resize()
    this.showPlaying()
  }

  open() {
    this.playing = this.options.autoplay && this.last > 0 && !prefersStillness()
    this.position = !this.playing && this.options.start === "last" ? this.last : 0
  }

  resize() {
    if (!this.frames || this.root.clientWidth === 0) return
    const ratio = window.devicePixelRatio || 1
    this.width = this.root.clientWidth
    this.height = pictureHeight(this.width, this.options.height, window.innerHeight)
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)]
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height })
    this.canvas.style.height = `${this.height}px`
    this.theme = this.freshTheme()
    this.root.style.colorScheme = this.theme.dark ? "dark" : "light"
    this.thickness = this.width >= 900 ? 1.25 : 1
    this.size = clamp(0.85 * this.theme.size * (this.width >= 900 ? 1.15 : 1), 11, 24)
    this.draw()
    this.showScale()
    this.run()
  }

  /** Under the plot a strip of the image's colours, and what its marked levels mean. */
  showScale() {
    const { marks } = this.options
    this.scale.hidden = !this.frames.image || marks.length === 0
    if (this.scale.hidden) return
    const { left, width } = this.view.box
    Object.assign(this.scale.style, { marginLeft: `${left}px`, width: `${width}px` })
    const [strip, texts] = this.scale.children
    strip.style.backgroundImage = `linear-gradient(to right, ${rampStops(this.theme.ramps[this.frames.image.kind])})`
    texts.replaceChildren(
      ...marks.map(([level, text]) => {
        const mark = document.createElement("span")
        mark.textContent = text
        Object.assign(mark.style, { left: `${100 * level}%`, transform: `translateX(${-100 * level}%)` })
        return mark
      }),
    )
  }

  freshTheme() {
    const theme = readTheme(this.root, this.context, this.options.errors)
    return sameTheme(this.theme, theme) ? this.theme : theme
  }

  run() {
    if (this.request || !this.playing) return
    this.stamp = null
    this.request = requestAnimationFrame((now) => this.tick(now))
  }

  tick(now) {
    this.request = 0
    if (!this.playing) return
    const elapsed = this.stamp === null ? 0 : clamp((now - this.stamp) / 1000, 0, 0.1)
    this.stamp = now
    const { position, ended } = advance(this.position, this.last, elapsed, Number(this.speed.value), this.loop)
    this.position = position
    this.draw()
    if (ended) this.pause()
    else this.request = requestAnimationFrame((time) => this.tick(time))
  }

  draw() {
    drawScene(this)
    this.drawn += 1
    const nearest = Math.round(this.position)
    this.bar.value = String(barPlace(this.position, this.last, this.falling))
    const text = `t = ${timeText(this.frames.times[nearest])} · frame ${nearest + 1}/${this.frames.count}`
    if (this.clock.textContent !== text) this.clock.textContent = text
    this.bar.setAttribute("aria-valuetext", text)
    Object.assign(this.canvas.dataset, { frame: String(nearest), drawn: String(this.drawn), playing: String(this.playing) })
  }

  showPlaying() {
    const name = this.playing ? "Pause" : "Play"
    this.playButton.classList.toggle("playing", this.playing)
    this.playButton.setAttribute("aria-label", name)
    this.playButton.title = `${name} (space)`
    this.canvas.dataset.playing = String(this.playing)
    if (!this.playing) this.speak()
  }

  /** Say where we are, once things have been still for a moment. */
  speak() {
    clearTimeout(this.speaking)
    this.speaking = setTimeout(() => {
      if (!this.playing && this.last > 0) this.spoken.textContent = this.clock.textContent
    }, 400)
  }

  play() {
    if (this.last === 0) return
    if (this.position >= this.last) this.position = 0
    this.playing = true
    this.showPlaying()
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
    this.speak()
  }

  /** Rest on a frame, so that what stands still is what was computed. */
  rest() {
    this.moveTo(Math.round(this.position))
  }

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

  click(event) {
    const [x, y] = this.pressed ?? [Infinity, Infinity]
    this.pressed = null
    if (!this.options.probe || Math.hypot(event.clientX - x, event.clientY - y) > 6) return
    const edge = this.canvas.getBoundingClientRect()
    const [px, py] = [event.clientX - edge.left, event.clientY - edge.top]
    const { left, top, width, height } = this.view.box
    if (px < left || px > left + width || py < top || py > top + height) return
    this.probe = unproject(this.view, px, py)
    this.probeArrows = [] // those of the point before; the server sends the others
    this.draw()
    this.setStateValue("probe", this.probe)
  }

  close() {
    cancelAnimationFrame(this.request)
    clearTimeout(this.speaking)
    this.observer.disconnect()
    this.root.remove()
  }
}

const stages = new WeakMap()

export default function mount(component) {
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
