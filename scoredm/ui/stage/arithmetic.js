// The arithmetic of the stage: functions of numbers and arrays that touch neither the page nor a canvas.

/** Coordinates arrive as 16-bit integers from -QUANTA to QUANTA (see charts/encoding.py). */
export const QUANTA = 32767

/** The integer that stands for "not a number". */
export const MISSING = -32768

/** How long all frames take to play at speed 1. */
const SECONDS = 5

// ---------------------------------------------------------------- numbers

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value))

export const lerp = (a, b, f) => a + (b - a) * f

/** The value that a 16-bit integer stands for. */
export const dequantise = (q, low, step) => low + (q + QUANTA) * step

/** The frames on either side of a playing position, and how far the position is past the first. */
export function between(position, count) {
  const first = clamp(Math.floor(position), 0, count - 1)
  const second = Math.min(first + 1, count - 1)
  return { first, second, fraction: second === first ? 0 : position - first }
}

// ---------------------------------------------------------------- camera

/** The largest box of the shape of the window [x0, x1, y0, y1] that fits in the middle of another box, in whole pixels. */
export function fitBox([x0, x1, y0, y1], { left, top, width, height }) {
  const unit = Math.min(width / (x1 - x0), height / (y1 - y0))
  const [across, down] = [Math.round(unit * (x1 - x0)), Math.round(unit * (y1 - y0))]
  const [beside, above] = [Math.floor((width - across) / 2), Math.floor((height - down) / 2)]
  return { left: left + beside, top: top + above, width: across, height: down }
}

/** The map from a window to a box of pixels {left, top, width, height}: pixel = offset + scale * value, with y upwards. */
export function projection([x0, x1, y0, y1], box) {
  const scaleX = box.width / (x1 - x0)
  const scaleY = -box.height / (y1 - y0)
  return { window: [x0, x1, y0, y1], box, scaleX, scaleY, offsetX: box.left - x0 * scaleX, offsetY: box.top - y1 * scaleY }
}

/** The pixel of a point of the plane. */
export const project = (view, x, y) => [view.offsetX + view.scaleX * x, view.offsetY + view.scaleY * y]

/** The point of the plane at a pixel. */
export const unproject = (view, px, py) => [(px - view.offsetX) / view.scaleX, (py - view.offsetY) / view.scaleY]

/** The window at a moment between two frames. */
export const windowAt = (frames, at) => frames.edges.map((edge) => lerp(edge[at.first], edge[at.second], at.fraction))

/**
 * Where a pixel outside a box is marked on the box's edge: {x, y, angle}, `inset` pixels inside the edge, the angle (radians,
 * clockwise from the right) leading to the pixel; null for a pixel inside the box.
 */
export function edgeMarker({ left, top, width, height }, x, y, inset) {
  if (x >= left && x <= left + width && y >= top && y <= top + height) return null
  const markerX = clamp(x, left + inset, left + width - inset)
  const markerY = clamp(y, top + inset, top + height - inset)
  return { x: markerX, y: markerY, angle: Math.atan2(y - markerY, x - markerX) }
}

// ---------------------------------------------------------------- playing

/** The position after `elapsed` seconds of play: at speed 1 all frames take `seconds`; at the end it stops or starts again. */
export function advance(position, last, elapsed, speed, loop, seconds = SECONDS) {
  const next = position + (last / seconds) * speed * elapsed
  if (next < last) return { position: next, ended: false }
  return loop && last > 0 ? { position: next % last, ended: false } : { position: last, ended: true }
}

/** Whether time falls from frame to frame, as when noise is turned into data. */
export const isFalling = (times) => times[times.length - 1] < times[0]

/** The place on the bar of a playing position, with data always on the left; its own inverse. */
export const barPlace = (position, last, falling) => (falling ? last - position : position)

/** The playing position at time t on rising or falling times, clamped to the ends. */
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

/** The position in new frames that continues from a position in the old ones: the same time, or the last frame after the last. */
export function carryOver(oldTimes, position, newTimes) {
  const last = newTimes.length - 1
  const sameWay = isFalling(oldTimes) === isFalling(newTimes)
  if (oldTimes.length > 1 && sameWay && position >= oldTimes.length - 1) return last
  const { first, second, fraction } = between(position, oldTimes.length)
  return positionAt(newTimes, lerp(oldTimes[first], oldTimes[second], fraction))
}

// ---------------------------------------------------------------- text and ticks

/** Round numbers inside [low, high], about `wanted` of them, and the step between them. */
export function niceTicks(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((m) => m * power >= rough * (1 - 1e-9)) ?? 10)
  const ticks = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step)
  return { ticks, step }
}

/** A tick's number with the digits that the step between ticks needs. */
export function tickText(value, step) {
  const size = Math.abs(value) < step / 1e6 ? 0 : value
  if (Math.abs(size) >= 1e5 || (size !== 0 && step < 1e-4)) return size.toExponential(1).replaceAll("-", "−")
  return size.toFixed(clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 6)).replace("-", "−")
}

/** A template such as "t = {t}" with its placeholders filled in. */
export const fillIn = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name])

/** A time with two decimals, or one significant digit where it is small. */
export function timeText(t) {
  const small = t !== 0 && Math.abs(t) < 0.01
  return small ? String(Number(t.toPrecision(1))) : t.toFixed(2)
}

/** A number to two significant digits, to be read aloud: a screen reader says "minus" only where there is a real minus sign. */
export const roundText = (value) => String(Number(value.toPrecision(2))).replaceAll("-", "−")

// ---------------------------------------------------------------- arrays

/** The density of values over equal bins of [low, high]: count / (total * bin width). */
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

// ---------------------------------------------------------------- colours and pixels

/** 256 colours along stops of [r, g, b], as one flat array. */
export function colourRamp(stops) {
  const ramp = new Uint8ClampedArray(256 * 3)
  for (let level = 0; level < 256; level++) {
    const { first, second, fraction } = between((level / 255) * (stops.length - 1), stops.length)
    for (let c = 0; c < 3; c++) ramp[3 * level + c] = Math.round(lerp(stops[first][c], stops[second][c], fraction))
  }
  return ramp
}

/** Every 15th colour of a ramp, as the stops of a gradient in CSS. */
export const rampStops = (ramp) =>
  Array.from({ length: 18 }, (_, i) => `rgb(${ramp.slice(45 * i, 45 * i + 3).join(" ")})`).join(", ")

/** One 32-bit pixel (alpha in the top byte) laid over another. */
export function blend(over, under) {
  const a = over >>> 24
  const b = under >>> 24
  if (a === 255 || b === 0) return over
  if (b === 255) {
    // Two channels at a time; weights out of 256 keep each product within 16 bits.
    const [w, v] = [a + (a >>> 7), 256 - a - (a >>> 7)]
    const even = (((over & 0xff00ff) * w + (under & 0xff00ff) * v) >>> 8) & 0xff00ff
    const odd = (((over >>> 8) & 0xff) * w + ((under >>> 8) & 0xff) * v) & 0xff00
    return (0xff000000 | even | odd) >>> 0
  }
  const rest = (b * (255 - a)) / 255
  const mixed = (shift) => Math.round((((over >>> shift) & 255) * a + ((under >>> shift) & 255) * rest) / (a + rest)) << shift
  return ((Math.round(a + rest) << 24) | mixed(16) | mixed(8) | mixed(0)) >>> 0
}

/** The pixels of a square mask that are not transparent: their offsets in a picture of this width, and their values. */
export function visiblePixels(mask, side, width) {
  const shown = Array.from(mask.keys()).filter((i) => mask[i] >>> 24 > 0)
  return {
    offsets: Int32Array.from(shown, (i) => Math.floor(i / side) * width + (i % side)),
    values: Uint32Array.from(shown, (i) => mask[i]),
  }
}

/** Blend visible pixels of a mask onto a picture, with the mask's first corner at index `corner`. */
export function stampPixels(pixels, corner, { offsets, values }) {
  for (let k = 0; k < offsets.length; k++) {
    const p = corner + offsets[k]
    const over = values[k]
    pixels[p] = over >= 0xff000000 ? over : blend(over, pixels[p])
  }
}

// ---------------------------------------------------------------- sizes

/** The height of the picture: as asked on a screen of 800 pixels, more on a taller one, but not much more than the width. */
export const pictureHeight = (width, height, screen) =>
  Math.round(Math.min(height * Math.max(1, screen / 800), Math.max(260, width * 1.05)))

/** The radius of a dot when there are `count` of them. */
export const dotRadius = (count) => [[300, 3.5], [1000, 3], [3000, 2.2], [6000, 1.8]].find(([most]) => count <= most)?.[1] ?? 1.5

// ---------------------------------------------------------------- reading what Python sends

const column = (table, name) => table.getChild(name).toArray()

const coordinates = (table) => ({ x: column(table, "x"), y: column(table, "y") })

/** The components of a mixture: weights, means, variances along and across an axis, and the angles of these axes. */
function readMixture(table) {
  const read = (name) => Float64Array.from(column(table, name))
  const [means, variances] = [{ x: read("x"), y: read("y") }, { along: read("along"), across: read("across") }]
  return { weights: read("weight"), means, variances, angles: read("angle") }
}

/** The factor on the data and the standard deviation of the noise at each frame. */
const readScales = (table) => ({ alpha: column(table, "alpha"), sigma: column(table, "sigma") })

/** Clean data (x, y) and noise (u, v) of samples, and which of them each particle is. */
function readDraws(layout, table) {
  const read = (name, axis) =>
    Float64Array.from(column(table, name), (q) => dequantise(q, layout.low[axis], layout.step[axis]))
  return { x: read("x", 0), y: read("y", 1), u: read("u", 2), v: read("v", 3), order: layout.order }
}

/** The frames in a component's data: the layout of each layer together with its columns; layers not sent are undefined. */
export function readFrames({ layout, ...tables }) {
  const { particles, image, density, draws, arrows, ellipses, margin } = layout
  return {
    count: layout.frames,
    times: Array.from(column(tables.camera, "t"), Number),
    edges: [0, 1, 2, 3].map((i) => column(tables.camera, `w${i}`)),
    particles: particles && { ...particles, ...coordinates(tables.particles) },
    image: image && { ...image, levels: column(tables.image, "v") },
    density: density && { ...density, ...readMixture(tables.density), ...readScales(tables.scales) },
    draws: draws && readDraws(draws, tables.draws),
    arrows: arrows && {
      ...arrows,
      ...coordinates(tables.arrows),
      anchors: { ...arrows.anchors, ...coordinates(tables.anchors) },
    },
    ellipses: ellipses && { ...ellipses, values: column(tables.ellipses, "v") },
    margin: margin && { ...margin, values: column(tables.margin, "v") },
  }
}
