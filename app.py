"""scoredm, the app: `streamlit run app.py`."""

from scoredm.ui import background, shell

shell.navigation().run()
background.prepare()
