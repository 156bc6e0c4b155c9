"""scoredm, the app: `streamlit run app.py`."""

from scoredm.ui import shell

shell.navigation().run()
