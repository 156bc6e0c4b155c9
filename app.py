"""scoredm, the app: `streamlit run app.py`."""

from scoredm.ui import shell

if __name__ == "__main__":  # a worker process may load this file, but it has no page to show
    shell.run_page()
