"""The bare apps with which pages are compared: a slider and a line of text; with `chart` also a chart of 400 points."""

import sys

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

POINTS = 400

st.header("Bare")
value = st.slider("λ", 0.5, 50.0, 25.0, 0.5)
if "chart" in sys.argv[1:]:
    x = np.linspace(0, 1, POINTS)
    points = pd.DataFrame({"x": x, "y": np.sin(value * x)})
    st.altair_chart(alt.Chart(points).mark_line().encode(x="x", y="y"))
st.text(f"λ is {value}")
