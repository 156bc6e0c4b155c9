"""Arrays to pictures: Altair charts, the frames of the stage as columns, small SVG pictures, and figures for print."""
