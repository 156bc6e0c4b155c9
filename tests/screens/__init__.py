"""The functions behind the screens, without Streamlit."""
