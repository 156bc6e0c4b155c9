// p_t of a Gaussian mixture in the plane, its score, and the scales of the SDEs: what the library computes, for the browser, so that
// a slider moves the picture before Python has answered.

import { QUANTA, clamp } from "./arithmetic.js"

// Standard deviations of p_t shown on each side of its mean, and nats below the highest point at which its logarithm goes blank.
const REACH = 3.2
const LOG_RANGE = 12

// Nats below the highest point from which on a component adds nothing that is seen.
const NEGLIGIBLE = 30

// What columns of plain numbers are read with where Python's columns hold 16-bit integers.
const PLAIN = { low: [-QUANTA, -QUANTA], step: [1, 1] }

// ---------------------------------------------------------------- the SDE

const COSINE_START = ((Math.PI / 2) * 0.008) / 1.008
const COSINE_RATE = ((Math.PI / 2) * 0.9946) / 1.008

const integral = ({ bmin, bmax }, t) => t * (bmin + (t * (bmax - bmin)) / 2)

// alpha_t and sigma_t of each kind of SDE, by the names of its parameters in a link.
const KINDS = {
  ve: ({ lam }, t) => {
    const rate = 2 * Math.log(lam)
    return [1, Math.sqrt(rate === 0 ? t : Math.expm1(rate * t) / rate)]
  },
  geometric: ({ smin, smax }, t) => [1, smin * Math.sqrt(Math.expm1(2 * Math.log(smax / smin) * t))],
  vp: (rates, t) => [Math.exp(-integral(rates, t) / 2), Math.sqrt(-Math.expm1(-integral(rates, t)))],
  subvp: (rates, t) => [Math.exp(-integral(rates, t) / 2), -Math.expm1(-integral(rates, t))],
  cosine: (_, t) => {
    const turned = COSINE_RATE * t
    const noise = Math.sqrt(Math.sin(turned) * Math.sin(turned + 2 * COSINE_START))
    return [Math.cos(turned + COSINE_START) / Math.cos(COSINE_START), noise / Math.cos(COSINE_START)]
  },
  rectified: (_, t) => [1 - t, t],
  edm: ({ emin, emax }, t) => [1, emin * Math.sqrt(Math.expm1(14 * Math.log1p(((emax / emin) ** (1 / 7) - 1) * t)))],
}

/** alpha_t and sigma_t of an SDE. */
export const scales = (kind, values, t) => KINDS[kind](values, t)

// ---------------------------------------------------------------- the mixture

/**
 * The components of p_t: {weight, x, y, along, across, cos, sin}, the variances along and across the direction (cos, sin).
 * `mixture` has columns of the data's components; the smallest variance is `least`.
 */
export function diffused({ weights, means, variances, angles }, alpha, sigma, least = 0) {
  const spread = (variance) => Math.max(alpha * alpha * variance + sigma * sigma, least)
  return Array.from(weights, (weight, k) => ({
    weight,
    x: alpha * means.x[k],
    y: alpha * means.y[k],
    along: spread(variances.along[k]),
    across: spread(variances.across[k]),
    cos: Math.cos(angles[k]),
    sin: Math.sin(angles[k]),
  }))
}

/** The logarithm of a component's height at its mean, without the constant that all share. */
const height = ({ weight, along, across }) => Math.log(weight) - Math.log(along * across) / 2

/** Mean and variance of each coordinate of the data. */
function moments({ weights, means, variances, angles }) {
  const average = (value) => weights.reduce((sum, weight, k) => sum + weight * value(k), 0)
  const mean = [average((k) => means.x[k]), average((k) => means.y[k])]
  const spread = (k, along, across) => along * variances.along[k] + across * variances.across[k]
  const [cos2, sin2] = [(k) => Math.cos(angles[k]) ** 2, (k) => Math.sin(angles[k]) ** 2]
  return {
    mean,
    variance: [
      average((k) => spread(k, cos2(k), sin2(k)) + (means.x[k] - mean[0]) ** 2),
      average((k) => spread(k, sin2(k), cos2(k)) + (means.y[k] - mean[1]) ** 2),
    ],
  }
}

/** Square windows [x0, x1, y0, y1] that hold p_t at each pair of scales. */
export function windows(mixture, pairs) {
  const { mean, variance } = moments(mixture)
  return pairs.map(([alpha, sigma]) => {
    const half = REACH * Math.sqrt(alpha * alpha * Math.max(...variance) + sigma * sigma)
    return mean.flatMap((centre) => [alpha * centre - half, alpha * centre + half])
  })
}

/** The one window that holds several. */
const around = (boxes) => [0, 1, 2, 3].map((i) => Math[i % 2 ? "max" : "min"](...boxes.map((box) => box[i])))

// ---------------------------------------------------------------- the picture

/** Add a component to cells of a picture, relative to e^reference; cells where it adds nothing that is seen are passed over. */
function addComponent(cells, n, [x0, x1, y0, y1], component, reference) {
  const { x, y, along, across, cos, sin } = component
  const [stepX, stepY] = [(x1 - x0) / n, (y1 - y0) / n]
  const top = height(component) - reference
  // q = a dx^2 + 2 b dx dy + c dy^2, and the component is exp(top - q / 2).
  const a = (cos * cos) / along + (sin * sin) / across
  const b = (cos * sin) / along - (cos * sin) / across
  const c = (sin * sin) / along + (cos * cos) / across
  const most = 2 * (top + NEGLIGIBLE)
  if (most <= 0) return
  const bend = Math.exp(-a * stepX * stepX)
  for (let row = 0; row < n; row++) {
    const dy = y0 + (row + 0.5) * stepY - y
    const discriminant = b * b * dy * dy - a * (c * dy * dy - most)
    if (discriminant < 0) continue
    const [middle, half] = [x - (b * dy) / a, Math.sqrt(discriminant) / a]
    const first = Math.max(0, Math.floor((middle - half - x0) / stepX - 0.5))
    const last = Math.min(n - 1, Math.ceil((middle + half - x0) / stepX - 0.5))
    // From cell to cell the exponent changes by a number that itself changes evenly, so that no cell needs an exponential.
    const dx = x0 + (first + 0.5) * stepX - x
    let value = Math.exp(top - (a * dx * dx + 2 * b * dx * dy + c * dy * dy) / 2)
    let ratio = Math.exp(-stepX * (a * (dx + stepX / 2) + b * dy))
    for (let cell = row * n + first, end = row * n + last; cell <= end; cell++) {
      cells[cell] += value
      value *= ratio
      ratio *= bend
    }
  }
}

/** The logarithm of a component at the centre of the cell of an n x n picture that is nearest to its mean. */
function highestCell(component, [x0, x1, y0, y1], n) {
  const nearest = (value, low, high) => {
    const step = (high - low) / n
    return low + (clamp(Math.floor((value - low) / step), 0, n - 1) + 0.5) * step - value
  }
  const [dx, dy] = [nearest(component.x, x0, x1), nearest(component.y, y0, y1)]
  const [u, v] = [component.cos * dx + component.sin * dy, component.cos * dy - component.sin * dx]
  return height(component) - (u * u) / component.along / 2 - (v * v) / component.across / 2
}

/**
 * p_t over a window relative to its highest cell, in levels from 0 to 255, row 0 at the lower edge: sqrt(p / max p), or for the
 * scale "log" its logarithm over its top 12 nats; `steps` flat steps, or 0 for none.
 */
export function densityLevels(density, alpha, sigma, window, { cells: n, scale, steps, alone }) {
  const least = ((window[1] - window[0]) / n / 2) ** 2
  const components = diffused(density, alpha, sigma, least).filter(({ weight }, k) => weight > 0 && (alone < 0 || alone === k))
  const reference = Math.max(...components.map((component) => highestCell(component, window, n)))
  const cells = new Float64Array(n * n)
  for (const component of components) addComponent(cells, n, window, component, reference)
  let most = 0
  for (let i = 0; i < cells.length; i++) most = Math.max(most, cells[i])
  const levels = new Uint8Array(n * n) // by plain loops: to call a function for each cell takes four times as long
  for (let i = 0; i < cells.length; i++) {
    const p = cells[i] / most
    const part = scale === "log" ? clamp(1 + Math.log(p) / LOG_RANGE, 0, 1) : Math.sqrt(p)
    levels[i] = Math.round(255 * (steps ? Math.round(part * steps) / steps : part))
  }
  return levels
}

// ---------------------------------------------------------------- the score

/** Responsibilities and scores of the components at a point, and the score of the mixture: {shares, parts, sum}. */
export function scoreAt(components, x, y) {
  const parts = []
  const logs = components.map((component) => {
    const [dx, dy] = [x - component.x, y - component.y]
    const u = (component.cos * dx + component.sin * dy) / component.along
    const v = (component.cos * dy - component.sin * dx) / component.across
    parts.push([component.sin * v - component.cos * u, -component.sin * u - component.cos * v])
    return height(component) - (u * u * component.along + v * v * component.across) / 2
  })
  const most = Math.max(...logs)
  const weights = logs.map((log) => Math.exp(log - most))
  const total = weights.reduce((a, b) => a + b, 0)
  const shares = weights.map((weight) => weight / total)
  const sum = [0, 1].map((i) => shares.reduce((a, share, k) => a + share * parts[k][i], 0))
  return { shares, parts, sum }
}

/** The vectors that a view of the score shows at a point, as [owner, x, y], the owner -1 for the score of the mixture. */
function vectorsAt(components, [x, y], { view, outlined, bundle }) {
  const { shares, parts, sum } = scoreAt(components, x, y)
  if (view === "component") return [[-1, ...parts[outlined[0]]]]
  if (view === "components") return outlined.map((k) => [k, ...parts[k]])
  const weighted = parts.map(([u, v], k) => [k, shares[k] * u, shares[k] * v])
  weighted.sort(([, a, b], [, c, d]) => Math.hypot(c, d) - Math.hypot(a, b))
  return [...weighted.slice(0, bundle), [-1, ...sum]]
}

/** A quantile of numbers, interpolated between those beside it. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort()
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (place - below) * (sorted[above] - sorted[below])
}

/** The factor that makes each length short enough to draw: the 95th percentile and what is longer become `spacing`. */
export function drawnFactors(lengths, spacing) {
  const full = Math.max(quantile(lengths, 0.95), 1e-12)
  return lengths.map((length) => (spacing * Math.min(length / full, 1)) / Math.max(length, 1e-12))
}

const size = ([, x, y]) => Math.hypot(x, y)

/** The field of arrows at points, as the stage's layer: tails and vectors as shares of the window, in runs of one colour. */
export function arrowField(components, points, [x0, x1, y0, y1], asked, colours) {
  const bundles = points.map((point) => vectorsAt(components, point, asked))
  const spacing = (x1 - x0) / asked.across
  const single = asked.view === "components" // nothing is added up: each arrow has a length of its own
  const lengths = single ? bundles.flat().map(size) : bundles.map((bundle) => Math.max(...bundle.map(size)))
  const factors = drawnFactors(lengths, spacing)
  const arrows = bundles.flatMap((bundle, i) =>
    bundle.map(([owner, x, y], j) => {
      const factor = factors[single ? i * bundle.length + j : i]
      return { colour: owner < 0 ? owner : owner % colours, point: points[i], x: factor * x, y: factor * y }
    }),
  )
  arrows.sort((a, b) => a.colour - b.colour)
  const runs = []
  arrows.forEach(({ colour }, i) => (runs.at(-1)?.[0] === colour ? runs.at(-1)[2]++ : runs.push([colour, i, 1])))
  const column = (value) => Float64Array.from(arrows, value)
  return {
    count: arrows.length,
    runs,
    ...PLAIN,
    x: column(({ x }) => x / (x1 - x0)),
    y: column(({ y }) => y / (y1 - y0)),
    anchors: {
      once: true,
      ...PLAIN,
      x: column(({ point }) => (point[0] - x0) / (x1 - x0)),
      y: column(({ point }) => (point[1] - y0) / (y1 - y0)),
    },
  }
}

/** Centres of the n x n cells of a window, row by row from the lower edge. */
export function cellCentres([x0, x1, y0, y1], n) {
  const at = (low, high, i) => low + ((i + 0.5) * (high - low)) / n
  return Array.from({ length: n * n }, (_, i) => [at(x0, x1, i % n), at(y0, y1, Math.floor(i / n))])
}

// ---------------------------------------------------------------- foreseeing

/** Samples of p_t from their clean data and their noise. */
const noisy = ({ x, y, u, v }, [alpha, sigma], i) => [alpha * x[i] + sigma * u[i], alpha * y[i] + sigma * v[i]]

/** Paths moved to other scales: each keeps its clean data, the first of its places, and the direction of its noise. */
function movedPaths(particles, before, after) {
  const { count } = particles
  const read = (column, axis) => (i) => particles.low[axis] + (column[i] + QUANTA) * particles.step[axis]
  const moved = (at) =>
    Float64Array.from({ length: particles.x.length }, (_, i) => {
      const [row, start] = [Math.floor(i / count), at(i % count)]
      const [[alpha, sigma], [newAlpha, newSigma]] = [before[row], after[row]]
      return newAlpha * start + (sigma > 0 ? (newSigma / sigma) * (at(i) - alpha * start) : 0)
    })
  return { ...particles, ...PLAIN, x: moved(read(particles.x, 0)), y: moved(read(particles.y, 1)) }
}

/** Ellipses of one standard deviation at each pair of scales; those that are out of sight stay there. */
function movedEllipses(ellipses, mixture, pairs) {
  const values = pairs.flatMap(([alpha, sigma], frame) =>
    diffused(mixture, alpha, sigma).flatMap(({ x, y, along, across }, k) => {
      const place = 5 * (frame * ellipses.count + k)
      const hidden = ellipses.values[place + 2] === 0
      return hidden ? [...ellipses.values.subarray(place, place + 5)] : [x, y, Math.sqrt(along), Math.sqrt(across), mixture.angles[k]]
    }),
  )
  return { ...ellipses, values: Float64Array.from(values) }
}

/**
 * The frames as they will be at other values of the SDE's parameters, and of t where they show one time, before Python has computed
 * them. `sliding` says which SDE, whether the camera follows, and what the arrows are; `colours` is the number of components' colours.
 */
export function foreseen(frames, { kind, follow, arrows }, values, colours) {
  const { density, draws } = frames
  const times = values.t === undefined ? frames.times : [values.t]
  const pairs = times.map((t) => scales(kind, values, t))
  const held = follow || values.t === undefined ? pairs : [0, 1].map((t) => scales(kind, values, t))
  const own = windows(density, held)
  const boxes = follow ? own : times.map(() => around(own))
  const found = {
    ...frames,
    times,
    edges: [0, 1, 2, 3].map((i) => boxes.map((box) => box[i])),
    density: { ...density, alpha: pairs.map(([alpha]) => alpha), sigma: pairs.map(([, sigma]) => sigma) },
  }
  const before = Array.from(density.alpha, (alpha, i) => [alpha, density.sigma[i]])
  if (frames.ellipses) found.ellipses = movedEllipses(frames.ellipses, density, pairs)
  if (frames.particles && draws) {
    const places = Array.from({ length: frames.particles.count }, (_, i) => noisy(draws, pairs[0], draws.order[i]))
    const column = (axis) => Float64Array.from(places, (place) => place[axis])
    found.particles = { ...frames.particles, ...PLAIN, x: column(0), y: column(1) }
  } else if (frames.particles) found.particles = movedPaths(frames.particles, before, pairs)
  if (frames.arrows && arrows) {
    const points = arrows.samples
      ? Array.from({ length: arrows.samples }, (_, i) => noisy(draws, pairs[0], i))
      : cellCentres(boxes[0], arrows.across)
    found.arrows = arrowField(diffused(density, ...pairs[0]), points, boxes[0], arrows, colours)
  }
  return found
}
