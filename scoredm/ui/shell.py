"""What every page shares: the navigation, the header and the sections."""

import os
import threading
from copy import copy
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

import scoredm
from scoredm import language, scripts
from scoredm.address import PAGES
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.ui import background, controls, lesson, prose, reader, received, startup, theme
from scoredm.ui.feedback import feedback
from scoredm.ui.sidebar import choose_experiment, draw_portrait

# One thread for each of torch's operations, read when it loads: they are small, and readers and runs share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ENTRIES = "_entries"  # session state: the navigation's entries

PAGES_FOLDER = Path(__file__).parents[2] / "pages"

ICON = Path(__file__).with_name("icon.png")  # a picture of ours: an icon by name would be loaded from another host

# Room for the stage, and for the experiment below the pages: Streamlit's own margins push them below the fold at 1280 x 800.
STYLE = """<style>
.stMainBlockContainer {padding: 3.4rem 2.2rem 2rem;}
.stMainBlockContainer h1 {padding: 0 0 0.2rem; font-size: 1.6rem; font-weight: 600;}
.stMainBlockContainer h2 {padding: 0.3rem 0 0.2rem; font-size: 1.35rem;}
.stMainBlockContainer [data-testid="stVerticalBlock"] {gap: 0.7rem;}
.stMarkdown table {font-variant-numeric: tabular-nums; font-size: 0.875rem;}
.stMarkdown table {display: block; max-width: max-content; overflow-x: auto;}
.stMarkdown table :is(td, th) {padding: 0.15rem 0.42rem; white-space: nowrap;}
:is(.stMultiSelect [data-tag], [data-testid^="stBaseButton-primary"]:enabled) {color: light-dark(#FFFFFF, #11151C);}
.stMarkdown :is(.katex-display, p:has(> .katex)) {overflow-x: auto; overflow-y: hidden;}
.stExpander table :is(td, th) {white-space: normal;}
.st-key-probe table :is(td, th) {padding: 0.15rem 0.35rem; line-height: 1.25;}
[data-testid="stFullScreenFrame"]:has(.stVegaLiteChart) [data-testid="stElementToolbar"] {top: auto; bottom: -0.75rem;}
.st-key-names ul {margin: 0 0 0.5rem; padding-left: 1.1rem;}
.st-key-names li {font-size: 0.875rem; line-height: 1.4; margin: 0;}
.st-key-names code {font-size: 0.95em;}
[data-testid="stSidebarHeader"] {height: 1.2rem; margin-bottom: 0;}
[data-testid="stNavSectionHeader"] {padding-block: 0; margin-block: 0.1rem;}
[data-testid="stSidebarNavLink"] {margin-block: 0; padding-block: 0; height: 1.45rem;}
[data-testid="stSidebarNavSeparator"] {margin-block: 0;}
.stSidebar [data-testid="stVerticalBlock"] {gap: 0.3rem;}
[data-testid="stCaptionContainer"] {opacity: 0.75;}
.stMultiSelect input {min-width: 1.5rem;}
.stButtonGroup [data-testid="stWidgetLabel"], .stButtonGroup [data-testid="stWidgetLabel"] * {color: inherit;}
.stSidebar [data-testid="stCaptionContainer"] p {font-size: 0.8rem; line-height: 1.35;}
:is([class*="st-key-stage-code-"], .st-key-training-wanted, .st-key-theme) {display: none;}
[data-testid="stElementContainer"]:has(.now) {display: none;}
[data-testid="stForm"], [class*="st-key-predicted-"] {padding: 0.5rem 0.8rem; gap: 0.4rem;}
:is([data-testid="stForm"], [class*="st-key-predicted-"]) .stMarkdown p {font-size: 0.9rem; line-height: 1.35;}
.term {cursor: help; text-decoration: underline dotted; text-underline-offset: 0.2em;}
.term:focus {outline: 2px solid currentColor; outline-offset: 2px;}
.term:focus::after {
  content: attr(title); position: fixed; z-index: 1000; inset: auto 0 1rem; width: fit-content; max-width: min(36rem, 92vw);
  margin: 0 auto; padding: 0.6rem 0.9rem; border-radius: 0.5rem; font-size: 0.9rem; font-weight: normal; font-style: normal;
  line-height: 1.4; color: light-dark(#FFFFFF, #11151C); background: light-dark(#31333F, #E6E9EF);
}
@media (max-width: 640px) {
  .stMainBlockContainer {padding: 3.4rem 1rem 2rem;}
  .stMarkdown table {font-size: 0.75rem;}
  .stMarkdown table :is(td, th) {padding: 0.15rem 0.3rem;}
  .stMarkdown table th {white-space: normal;}
  .st-key-probe table {font-size: 0.65rem;}
  .st-key-probe table :is(td, th) {padding: 0.15rem 0.15rem;}
  [data-testid="stElementContainer"]:has(.now) {display: block;}
  p:has(> .now) {font-size: 0.875rem; opacity: 0.7;}
}
</style>"""

language.follow(reader.language)

_run = threading.local()  # the experiment of this run: Streamlit runs every script in a thread of its own


def title(name: str) -> str:
    """The title of a page in the reader's language."""
    return _(PAGES[name].title)


def icon(name: str) -> str:
    """The icon of a page."""
    return PAGES[name].icon


def page(name: str) -> StreamlitPage:
    """The navigation entry of pages/<name>.py."""
    return _run.pages[name]


def _entries() -> dict[str, StreamlitPage]:
    """The navigation entries, made once a visit, as Streamlit looks for each file; copies, as a run marks the one it runs."""
    if ENTRIES not in st.session_state:
        st.session_state[ENTRIES] = {name: _entry(name) for name in PAGES}
    return {name: copy(entry) for name, entry in st.session_state[ENTRIES].items()}


def _entry(name: str) -> StreamlitPage:
    return st.Page(PAGES_FOLDER / f"{name}.py", title=title(name), icon=icon(name), default=name == "home")


def navigation() -> StreamlitPage:
    """Configure the app, draw the navigation and the experiment in the sidebar, and return the page that was asked for.

    The experiment belongs to the router and not to a page: its part of the link then stays complete from page to page.
    """
    received.check_messages()
    st.set_page_config(page_icon=str(ICON), layout="wide")  # first: a page's entry would take its icon from another host
    startup.begin()
    pages = _run.pages = _entries()
    groups = {
        _("The class"): [pages[name] for name in PAGES if PAGES[name].in_class],
        _("Beyond the class"): [pages[name] for name in PAGES if not PAGES[name].in_class],
    }
    asked = st.navigation(groups)
    st.set_page_config(page_title=f"{asked.title} · scoredm")
    st.html(STYLE)
    with st.sidebar:
        theme.follow()
    lesson.begin(asked.url_path or "home")
    following = controls.next_page()
    if following is not None and following != (asked.url_path or "home"):
        st.switch_page(pages[following], query_params=lesson.query())  # without it Streamlit keeps the names of widgets there
    controls.begin(asked.url_path or "home")
    controls.carry(reader.PARAMETER, reader.visit().asked)
    lesson.note()
    controls.take("reader", "predict")
    prose.begin()
    _run.experiment, _run.portrait = choose_experiment()
    controls.enter_page()
    return asked


def run_page() -> None:
    """Run the page that was asked for, and then start what computes long work: the first page of a server comes first."""
    navigation().run()
    background.prepare()
    startup.settle()


def header(name: str) -> Experiment:
    """Draw a page's title and lead, and the target's portrait in the sidebar; return the experiment.

    A page that is the very first request to a server runs without app.py. Its widgets would then have other identities than
    in the next run, and what a button sets would be lost; so such a page is run again from here, as app.py runs it.
    """
    if not hasattr(_run, "experiment"):
        run_page()
        st.stop()
    lesson.strip()
    st.title(title(name), anchor=False)
    experiment: Experiment = _run.experiment
    now = _("{target} · {sde} · seed {seed}").format(target=experiment.title, sde=experiment.sde_label, seed=experiment.seed)
    lead = "" if lesson.hides("lead") else prose.read(name).lead
    if lead:
        prose.write(lead)
    st.markdown(f'<span class="now">{now}</span>', unsafe_allow_html=True)
    controls.show_change()
    draw_portrait(experiment, _run.portrait)
    return experiment


def sections(name: str) -> None:
    """Draw the page's sections, each folded under its heading, the script, the next page, a place for feedback, and the link.

    The link comes last: what the page's own widgets put into the address has to be in it.
    """
    if not lesson.hides("sections"):
        prose.fold_until_opened(prose.read(name).sections)
    if name == "home":
        glossary = st.expander(_("Glossary"), key=prose.section_key(name, "glossary"), on_change="rerun")
        if glossary.open:
            glossary.markdown(prose.read("glossary").lead)
    _show_script(name)
    if not lesson.running():  # its own Next leads on
        _show_next(name)
    feedback(name)
    controls.say_refused()
    with st.sidebar:
        _show_link()
        st.caption(_("Computed on: **{device}**").format(device=scoredm.default_device().type.upper()))


def _show_script(name: str) -> None:
    """The screen as a script, to read and to download; it is written only when it is asked for."""
    if not scripts.has_script(name):
        return
    place = st.expander(_("This screen as a script"), icon=":material/code:", key=f"script-{name}", on_change="rerun")
    if not place.open:
        return
    with place:
        try:
            script = scripts.write(controls.link())
        except ValueError as error:  # of what the sidebar complains about too, such as a mixture that cannot be read
            st.warning(as_text(str(error)))
            return
        st.caption(
            _(
                "This Python program prints the numbers of this screen with the library scoredm alone. With `--figure` it also "
                "draws a figure."
            )
        )
        label, file = _("Download the script"), f"scoredm-{name}.py"
        st.download_button(label, script, file_name=file, mime="text/x-python", key=f"script-file-{name}", on_click="ignore")
        st.code(script, language="python", wrap_lines=True)


def _show_next(name: str) -> None:
    """A link from each page of the class to the next."""
    order = list(PAGES)
    following = order[order.index(name) + 1] if name != order[-1] else name
    if PAGES[name].in_class and PAGES[following].in_class:
        st.page_link(page(following), label=_("Next: **{page}**").format(page=title(following)), icon=":material/arrow_forward:")


def _show_link() -> None:
    """The address of this screen, to copy, with every parameter that differs from its default; and whether pages ask first."""
    label = _("Link and predictions")
    place = st.popover(label, icon=":material/link:", width="stretch", key="link", on_change="rerun")
    if place.open:
        query = controls.query()
        with place:
            st.code(f"{st.context.url}?{query}" if query else st.context.url, language=None, wrap_lines=True)
            controls.switch("reader", "predict")
