"""Charts of results: data first, then figures by matplotlib, as SVG and PNG."""
