"""Arrays to small pictures (SVG text), where a page shows several at a glance and a chart would be too much.

A window is (x_min, x_max, y_min, y_max) in data units, drawn onto a box of pixels (left, top, width, height).
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from scoredm.charts import palette
from scoredm.language import _

if TYPE_CHECKING:
    from scoredm.screens.home import Portrait, Story

Box = tuple[float, float, float, float]

LAYERS = 4  # paths of a cloud
DOT = "m%d %dh0"  # a line of no length, with round ends; in tenths of a pixel, from the dot before
DOTS = 'transform="scale(.1)" stroke-linecap="round"'
UNSEEN, PASSES = 0.1, 4  # pixels that a corner may lie off a line to be left out, and how often corners are looked for


def _png(pixels: np.ndarray) -> bytes:
    """An (H, W, 4) uint8 picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Picture:
    """An SVG picture under construction, in the colours of one theme ("light" or "dark")."""

    width: int
    height: int
    mode: str
    parts: list[str] = field(default_factory=list)

    @property
    def ink(self) -> str:
        """The colour of exact answers."""
        return palette.INK[self.mode]

    @property
    def muted(self) -> str:
        """The colour of densities and of what stands back."""
        return palette.MUTED[self.mode]

    @property
    def svg(self) -> str:
        """The whole picture."""
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        style = f'font-family="sans-serif" font-size="13" fill="{self.ink}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(self.parts)}</svg>'

    def write(self, text: str, x: float, y: float, colour: str = "", anchor: str = "start", size: int = 13) -> None:
        """Write a line of text.

        Args:
            text: plain.
            x: of its anchor, in pixels.
            y: of its base line, in pixels.
            colour: in CSS; "" for the colour of ink.
            anchor: "start", "middle" or "end".
            size: of the letters, in pixels.
        """
        look = f'font-size="{size}" text-anchor="{anchor}" fill="{colour or self.ink}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{html.escape(text)}</text>')

    def legend(self, name: str, colour: str, dash: Sequence[float], x: float, y: float) -> None:
        """Draw a short line, and its meaning beside it.

        Args:
            name: the meaning.
            colour: of the line, in CSS.
            dash: lengths of strokes and gaps, in pixels; none for a whole line.
            x: of its left end, in pixels.
            y: of its middle, in pixels.
        """
        self.parts.append(f'<path d="M{x} {y}h24" stroke="{colour}" stroke-width="2"{_dashed(dash)}/>')
        self.write(name, x + 32, y + 4, size=12)

    def panel(self, window: Sequence[float] | np.ndarray, box: Box) -> "Panel":
        """A framed part of the picture that shows a window of data.

        Args:
            window: x_min, x_max, y_min, y_max.
            box: left, top, width and height, in pixels.
        """
        left, top, width, height = box
        name = f"c{len(self.parts)}"
        self.parts.append(
            f'<clipPath id="{name}"><rect x="{left}" y="{top}" width="{width}" height="{height}" rx="3"/></clipPath>'
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="3" fill="none" stroke="{self.muted}" '
            'stroke-opacity=".35"/>'
        )
        return Panel(self, np.asarray(window, dtype=float), box, name)


@dataclass(frozen=True)
class Panel:
    """A window of data on its box of the picture; what reaches over the edge is cut off."""

    picture: Picture
    window: np.ndarray
    box: Box
    clip: str

    def place(self, points: np.ndarray) -> np.ndarray:
        """Data (..., 2) to pixels (..., 2).

        Args:
            points: in data units, (..., 2).

        Returns:
            In pixels, (..., 2).
        """
        x_min, x_max, y_min, y_max = self.window
        left, top, width, height = self.box
        x = left + (points[..., 0] - x_min) / (x_max - x_min) * width
        y = top + (y_max - points[..., 1]) / (y_max - y_min) * height
        return np.stack([x, y], -1)

    def _add(self, body: str) -> None:
        self.picture.parts.append(f'<g clip-path="url(#{self.clip})">{body}</g>')

    def density(self, values: np.ndarray) -> None:
        """Shade the panel; values: (H, W) in [0, 1], row 0 at y_min.

        Args:
            values: (H, W) in [0, 1], row 0 at y_min.
        """
        red, green, blue = (int(self.picture.muted[i : i + 2], 16) for i in (1, 3, 5))
        pixels = np.empty((*values.shape, 4), dtype=np.uint8)
        pixels[..., :3] = red, green, blue
        pixels[..., 3] = np.clip(200 * values[::-1], 0, 200)
        left, top, width, height = self.box
        source = base64.b64encode(_png(pixels)).decode()
        self._add(
            f'<image x="{left}" y="{top}" width="{width}" height="{height}" preserveAspectRatio="none" '
            f'href="data:image/png;base64,{source}"/>'
        )

    def dots(self, points: np.ndarray, colours: Sequence[str], radius: float = 2.2) -> None:
        """Draw points, one colour each, in a few paths.

        Args:
            points: (N, 2).
            colours: one for each point.
            radius: in pixels.
        """
        at, of = self.place(points), np.asarray(colours)
        shape = [
            f'<path stroke="{colour}" d="{_dots(at[i::LAYERS][of[i::LAYERS] == colour])}"/>'
            for i in range(LAYERS)  # so that no colour lies over all others
            for colour in dict.fromkeys(of[i::LAYERS].tolist())
        ]
        self._add(f'<g {DOTS} stroke-width="{20 * radius}">{"".join(shape)}</g>')

    def rings(self, points: np.ndarray, colours: Sequence[str], radius: float, width: float) -> None:
        """Draw rings around points, one colour each.

        Args:
            points: (N, 2).
            colours: one for each point.
            radius: in pixels.
            width: of the line, in pixels.
        """
        shape = (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" stroke="{colour}"/>'
            for (x, y), colour in zip(self.place(points).tolist(), colours, strict=True)
        )
        self._add(f'<g fill="none" stroke-width="{width}">{"".join(shape)}</g>')

    def cloud(self, points: np.ndarray, colour: str, radius: float, opacity: float = 1.0) -> None:
        """Draw many points of one colour, in a few paths: each is one element, however many points it has.

        Args:
            points: (N, 2).
            colour: in CSS.
            radius: in pixels.
            opacity: from 0 to 1; points of different paths shine through one another.
        """
        at = self.place(points)
        paths = (_dots(at[i::LAYERS]) for i in range(LAYERS))
        shape = "".join(f'<path d="{path}"/>' for path in paths if path)
        look = f'{DOTS} stroke="{colour}" stroke-width="{20 * radius}" stroke-opacity="{opacity}"'
        self._add(f"<g {look}>{shape}</g>")

    def bars(self, left: np.ndarray, right: np.ndarray, height: np.ndarray, colour: str, opacity: float) -> None:
        """Draw bars that stand on y = 0.

        Args:
            left: their left edges, (B,).
            right: their right edges, (B,).
            height: (B,).
            colour: in CSS.
            opacity: from 0 to 1.
        """
        low, high = (self.place(np.stack([x, y], -1)) for x, y in ((left, np.zeros_like(height)), (right, height)))
        shape = (f"M{x:.1f} {y:.1f}V{top:.1f}H{end:.1f}V{y:.1f}z" for (x, y), (end, top) in zip(low, high, strict=True))
        self._add(f'<path d="{"".join(shape)}" fill="{colour}" fill-opacity="{opacity}"/>')

    def lines(
        self,
        paths: Iterable[np.ndarray],
        colours: Iterable[str],
        width: float = 1.0,
        opacity: float = 1.0,
        dash: Sequence[float] = (),
    ) -> None:
        """Draw polylines, each (T, 2), without the corners that nobody would see.

        Args:
            paths: each (T, 2).
            colours: one for each path.
            width: in pixels.
            opacity: from 0 to 1.
            dash: lengths of strokes and gaps, in pixels; none for whole lines.
        """
        shape = []
        for path, colour in zip(_simplified([self.place(path) for path in paths]), colours, strict=True):
            shape.append(f'<polyline points="{_each("%.1f,%.1f ", path).strip()}" stroke="{colour}"/>')
        look = f'fill="none" stroke-width="{width}" stroke-opacity="{opacity}" stroke-linejoin="round"{_dashed(dash)}'
        self._add(f"<g {look}>{''.join(shape)}</g>")

    def axes(self, x_name: str, y_name: str) -> None:
        """Draw grid lines at round numbers with their labels outside the panel, and the names of the axes inside it.

        Args:
            x_name: in the lower right corner.
            y_name: in the upper left corner.
        """
        left, top, width, height = self.box
        right, bottom = left + width, top + height
        picture, (x_min, x_max, y_min, y_max) = self.picture, self.window
        across, up = _round_numbers(x_min, x_max), _round_numbers(y_min, y_max)
        columns = [x for x, _y in self.place(np.stack([across, np.full_like(across, y_min)], -1))]
        rows = [y for _x, y in self.place(np.stack([np.full_like(up, x_min), up], -1))]
        grid = "".join([f"M{x:.1f} {top}V{bottom}" for x in columns] + [f"M{left} {y:.1f}H{right}" for y in rows])
        picture.parts.append(f'<path d="{grid}" stroke="{picture.muted}" stroke-opacity=".25"/>')
        for x, label in zip(columns, _labels(across), strict=True):
            picture.write(label, x, bottom + 15, picture.muted, "middle", 12)
        for y, label in zip(rows, _labels(up), strict=True):
            picture.write(label, left - 5, y + 4, picture.muted, "end", 12)
        picture.write(x_name, right - 6, bottom - 6, anchor="end")
        picture.write(y_name, left + 6, top + 16)

    def arrows(self, starts: np.ndarray, vectors: np.ndarray, colour: str, width: float = 1.3, head: float = 3.5) -> None:
        """Draw arrows from starts (N, 2) by vectors (N, 2), in data units.

        Args:
            starts: (N, 2).
            vectors: (N, 2), in data units.
            colour: in CSS.
            width: in pixels.
            head: the length of an arrow's head, in pixels.
        """
        tails, tips = self.place(starts), self.place(starts + vectors)
        length = np.hypot(*(tips - tails).T)
        seen = length >= 1
        tails, tips, length = tails[seen], tips[seen], length[seen, None]
        along = (tips - tails) / length * np.minimum(head, length)
        across = 0.5 * np.stack([-along[:, 1], along[:, 0]], -1)
        corners = np.concatenate([tails, tips, tips - along + across, tips, tips - along - across], 1)
        shape = _each('<path d="M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1fL%.1f %.1f"/>', corners)
        self._add(f'<g fill="none" stroke="{colour}" stroke-width="{width}" stroke-linecap="round">{shape}</g>')

    def area(self, x: np.ndarray, y: np.ndarray) -> None:
        """Fill from y = 0 up to a curve; x, y: (T,).

        Args:
            x: rising, (T,).
            y: 0 or more, (T,).
        """
        corners = np.array([[x[-1], 0.0], [x[0], 0.0]])
        points = _each("%.1f,%.1f ", self.place(np.concatenate([np.stack([x, y], -1), corners]))).strip()
        self._add(f'<polygon points="{points}" fill="{self.picture.muted}" fill-opacity=".45"/>')

    def ellipses(self, shapes: np.ndarray, colours: Sequence[str], width: float = 1.6) -> None:
        """Draw ellipses.

        Args:
            shapes: centre x, y, half axes a and b in data units, angle of a in radians, (K, 5).
            colours: one for each ellipse.
            width: in pixels.
        """
        angle = np.linspace(0, 2 * np.pi, 49)
        circle = np.stack([np.cos(angle), np.sin(angle)], -1)
        paths = []
        for x, y, a, b, turn in shapes:
            rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            paths.append([x, y] + circle * [a, b] @ rotation)
        self.lines(paths, colours, width)

    def note(self, text: str, corner: str = "top") -> None:
        """Write a few words in the panel's top or bottom left corner.

        Args:
            text: the words.
            corner: "top" or "bottom".
        """
        left, top, _, height = self.box
        y = top + 15 if corner == "top" else top + height - 6
        back = palette.PAPER[self.picture.mode]
        self.picture.parts.append(
            f'<text x="{left + 5}" y="{y}" stroke="{back}" stroke-width="3" paint-order="stroke">{text}</text>'
        )


def _each(template: str, rows: np.ndarray) -> str:
    """A template of M numbers, once for each row of (N, M); written at once, which is several times as fast as row by row."""
    return template * len(rows) % tuple(rows.ravel().tolist())


def _dots(at: np.ndarray) -> str:
    """A path of dots at places (N, 2) in pixels; from left to right, so that the steps between them are short numbers."""
    tenths = np.rint(10 * at[np.argsort(at[:, 0])]).astype(int)
    return _each(DOT, np.diff(tenths, axis=0, prepend=0)).replace(" -", "-")


def _simplified(paths: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Polylines in pixels without every second corner, as often as that moves them by no more than UNSEEN.

    All of them at once: a picture has many short ones.
    """
    if not paths:
        return []
    corners, path = np.concatenate(paths), np.repeat(np.arange(len(paths)), [len(one) for one in paths])
    for _pass in range(PASSES):
        place = np.arange(len(path)) - np.searchsorted(path, path)  # of each corner in its own polyline
        middle = 1 + np.flatnonzero((place[1:-1] % 2 == 1) & (path[1:-1] == path[2:]))
        chord, side = corners[middle + 1] - corners[middle - 1], corners[middle] - corners[middle - 1]
        away = np.abs(chord[:, 0] * side[:, 1] - chord[:, 1] * side[:, 0])
        left_out = middle[away <= UNSEEN * np.hypot(chord[:, 0], chord[:, 1])]
        corners, path = np.delete(corners, left_out, axis=0), np.delete(path, left_out)
    return np.split(corners, np.bincount(path, minlength=len(paths)).cumsum()[:-1])


def _dashed(dash: Sequence[float]) -> str:
    return f' stroke-dasharray="{" ".join(map(str, dash))}"' if dash else ""


def _round_numbers(low: float, high: float) -> np.ndarray:
    """About five multiples of 1, 2 or 5 times a power of ten between two numbers."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda m: abs(np.log(m * power / rough)))
    return step * np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)


def _labels(values: np.ndarray) -> list[str]:
    """Numbers as they stand at an axis, with a real minus sign."""
    return [f"{value:.6g}".replace("-", "−") for value in values + 0.0]


# The four pictures of the home page, and the target's own.

SIDE, GAP, MARGIN = 230, 6, 2


def _tiles(picture: Picture, windows: np.ndarray, densities: np.ndarray, order: Sequence[int]) -> dict[int, Panel]:
    """Square panels row by row, tile order[0] first, each shaded with its density."""
    across = 2 if len(windows) > 1 else 1
    side = (SIDE - 2 * MARGIN - (across - 1) * GAP) / across
    panels = {}
    for place, tile in enumerate(order):
        row, column = divmod(place, across)
        left, top = (MARGIN + n * (side + GAP) for n in (column, row))
        panels[tile] = picture.panel(windows[tile], (left, top, side, side))
        panels[tile].density(densities[tile])
    return panels


def _journey(story: "Story", paths: np.ndarray, colours: Sequence[str], mode: str, back: bool) -> str:
    """Points over p_t at a few times (plane), or paths over p_t (line)."""
    picture = Picture(SIDE, SIDE, mode)
    count = len(story.windows)
    panels = _tiles(picture, story.windows, story.densities, range(count)[:: -1 if back else 1])
    if story.dim == 2:
        widths = story.windows[:, 1] - story.windows[:, 0]
        for tile, panel in panels.items():
            panel.dots(paths[tile], colours, 1.7)
            panel.note(f"t = {story.times[tile]:.2g}" + (f" · ×{widths[tile] / widths[0]:.2g}" if tile else ""))
        return picture.svg
    along = np.broadcast_to(story.times[:, None], paths[..., 0].shape)
    panels[0].lines(np.stack([along, paths[..., 0]], -1).swapaxes(0, 1), colours, 0.9, 0.8)
    panels[0].note(_("← from noise to data") if back else _("from data to noise →"))
    return picture.svg


def forward_step(story: "Story", mode: str) -> str:
    """Data dissolving into noise, coloured by origin.

    Args:
        story: of the target.
        mode: "light" or "dark".
    """
    return _journey(story, story.forward, [palette.component_colour(int(k)) for k in story.labels], mode, back=False)


def reverse_step(story: "Story", mode: str) -> str:
    """Noise gathering into data.

    Args:
        story: of the target.
        mode: "light" or "dark".
    """
    return _journey(story, story.reverse, [palette.SAMPLES[mode]] * story.reverse.shape[1], mode, back=True)


def score_step(story: "Story", mode: str) -> str:
    """The density and the arrows that point uphill.

    Args:
        story: of the target.
        mode: "light" or "dark".
    """
    picture = Picture(SIDE, SIDE, mode)
    side = SIDE - 2 * MARGIN
    panel = picture.panel(story.score_window, (MARGIN, MARGIN, side, side))
    if story.dim == 2:
        panel.density(story.score_density)
    else:
        panel.area(*story.score_density.T)
    panel.arrows(story.score_starts, story.score_vectors, picture.ink)
    return picture.svg


def learn_step(story: "Story", mode: str) -> str:
    """Noisy points, where they came from, and the best guess of it.

    Args:
        story: of the target.
        mode: "light" or "dark".
    """
    picture, noisy = Picture(SIDE, SIDE, mode), story.noisy
    side = SIDE - 2 * MARGIN
    panel = picture.panel(noisy.window, (MARGIN, MARGIN, side, side))
    panel.density(noisy.density)
    colours = [palette.component_colour(int(k)) for k in noisy.labels]
    if story.dim == 1:
        panel.dots(np.concatenate([noisy.noisy, noisy.clean], 1), colours)
        panel.lines([noisy.curve], [picture.ink], 2)
        panel.note(_("clean x₀ ↑   noisy xₜ →"))
        return picture.svg
    panel.lines(np.stack([noisy.noisy, noisy.clean], 1), colours, 1.2, 0.9)
    panel.rings(noisy.noisy, colours, 3.2, 1.2)
    panel.dots(noisy.clean, colours, 3.2)
    panel.arrows(noisy.noisy, noisy.guess - noisy.noisy, picture.ink, 1.5, 5)
    return picture.svg


STEPS = {"forward": forward_step, "score": score_step, "reverse": reverse_step, "training": learn_step}  # by their pages


def portrait(shown: "Portrait", mode: str) -> str:
    """A target's density with its components outlined in their colours.

    Args:
        shown: the target.
        mode: "light" or "dark".
    """
    picture = Picture(SIDE, SIDE, mode)
    side = SIDE - 2 * MARGIN
    panel = picture.panel(shown.window, (MARGIN, MARGIN, side, side))
    if len(shown.outlines):
        panel.density(shown.density)
        panel.ellipses(shown.outlines, [palette.component_colour(k) for k in range(len(shown.outlines))])
        return picture.svg
    panel.area(*shown.density.T)
    curves = [np.stack([shown.density[:, 0], part], -1) for part in shown.parts]
    panel.lines(curves, [palette.component_colour(k) for k in range(len(curves))], 1.8)
    return picture.svg
